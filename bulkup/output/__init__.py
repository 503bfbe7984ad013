"""Everything a user sees: terminal, log, JSON, tables, HTML report, monitor, notifications.

Events go in, words come out. May import `events` and `errors`, never the engine; `output.listings`
also takes the value classes of `store.run_history`. The only package that uses rich.
"""
