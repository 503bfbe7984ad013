"""The local archive: scanning, filters, photos and their chunks, sidecars, watching, disposal.

May import `events` and `errors` only.
"""
