"""The monitor: a web page that shows a run while it lasts, and metrics for Prometheus.

It is read-only: no request changes a run.
"""
