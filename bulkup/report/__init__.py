"""Output, and nothing else: what a run tells through its events, for eyes, logs and programs.

Knows events only; neither engine, server nor ledger. This package is the only place that knows
rich.
"""
