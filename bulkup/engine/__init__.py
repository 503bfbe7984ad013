"""The upload pipeline and its decisions: what to send, what is there, when to retry, how fast.

May import `source`, `events` and `errors` only. The gallery, the ledger and the executor are
ports, declared in `gallery_port`, `ledger_port` and `executor`. No account or password gets in
here.
"""
