"""The gallery client, the only package that knows Piwigo: its methods, answers and quirks.

May import `source`, `events` and `errors`, never the engine, whose ports it satisfies.
"""
