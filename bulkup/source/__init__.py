"""The local archive: scan, filters, photos, sidecars, watching, moving files away."""
