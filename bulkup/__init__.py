"""bulkup: migrates a whole photo archive into a Piwigo gallery, many photos at once."""

__version__ = "0.1.0"
