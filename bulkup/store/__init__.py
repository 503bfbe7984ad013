"""The SQLite file with the ledger of photos and the history of runs.

May import `source`, `events`, `errors`, and of the engine `engine.ledger_port` only. The only
package that uses sqlite3.
"""
