"""The monitor: a page that shows a run while it lasts, and metrics for Prometheus.

It only shows; nothing that is asked of it changes a run.
"""
