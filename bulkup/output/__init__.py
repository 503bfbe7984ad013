"""The outputs of a run: terminal, log, JSON, tables, HTML report, monitor, notifications.

They turn events into text. May import `events` and `errors`, never the engine; `output.listings`
also uses the value classes of `store.run_history`. The only package that uses rich.
"""
