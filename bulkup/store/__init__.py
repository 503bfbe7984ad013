"""The SQLite file: what happened to each photo, and the history of runs.

May import `source`, `events`, `errors`, and of the engine `engine.ports` only. The only package
that uses sqlite3.
"""
