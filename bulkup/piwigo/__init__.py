"""The only package that knows Piwigo: its methods, its answers, its quirks."""
