"""Metadata that photos themselves contain: IPTC, XMP and EXIF."""
