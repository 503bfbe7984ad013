"""Exports of other programs and services, each with a reader of its own."""
