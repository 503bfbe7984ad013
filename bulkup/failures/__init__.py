"""Failures in words: one table of what can fail, what that means, and what to do.

Knows nothing but words. Whoever meets a failure takes its words from here and adds the facts, and
the README's table is made from here (`python -m bulkup.failures README.md`), so that they can't
drift apart.
"""

from bulkup.failures.kind import Kind, Told

__all__ = ["Kind", "Told"]
