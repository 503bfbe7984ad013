"""The upload pipeline and its decisions: what to send, what is there, when to retry, how fast.

May import `source`, `events` and `errors` only. What it needs of the gallery, the ledger and the
machines that do the work it declares as ports in `engine.ports`. It never sees an account or a
password.
"""
