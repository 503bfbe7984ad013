"""A simulated Piwigo server to try and test bulkup: real HTTP, with the rules of each version.

It imports nothing else of bulkup: the uploader and this server were written from the same
description of Piwigo and share no code.
"""

from bulkup.sandbox.app import Sandbox
from bulkup.sandbox.faults import Fault, Faults

__all__ = ["Fault", "Faults", "Sandbox"]
