"""The monitor: a page that shows a run while it lasts, and its figures for Prometheus.

Knows events, the report's state and words, and where to listen; neither engine nor ledger. It only
shows: nothing that is asked of it changes a run.
"""
