"""Output, and nothing else: what a run tells through its events, for eyes, logs and programs.

Knows events, findings and errors only; neither engine, server nor ledger. A view of a run is
opened with `async with` and fed through `emit`. This package is the only place that knows rich.
"""
