"""`bulkup gui`: leads through a migration in a browser, from the gallery to the report.

One process serves the pages and runs all tasks, by `bulkup.api` and the use cases. Each step is a
module of `steps` and a template of its name in `pages`; all words are in `texts`. Needs the extra
`gui`.
"""
