"""Use cases: upload, verify, watch, doctor, demo. Every object of a run is built here, once.

May import every package below it: `piwigo`, `store`, `output`, `engine`, `source`, `events` and
`errors`; `app.demo` also the sandbox. Command-line flags and Dask stay out.
"""
