"""Exports of Google Takeout."""
