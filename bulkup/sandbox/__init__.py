"""A Piwigo-compatible server to try bulkup on and to test it with: real HTTP, rules by version.

It imports nothing of the rest: the uploader and this server were written from the same description
of Piwigo and meet only on the wire.
"""

from bulkup.sandbox.app import Sandbox
from bulkup.sandbox.faults import Fault, Faults

__all__ = ["Fault", "Faults", "Sandbox"]
