"""The local archive: scan, filters, photos, sidecars, watching, disposal."""
