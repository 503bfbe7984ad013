"""Whether a gallery lets somebody in: one log-in, and nothing else.

Knows how to ask, and neither flags nor screens.
"""

import anyio
import anyio.lowlevel

from bulkup.piwigo.catalogue import Offer
from bulkup.piwigo.connect import connect
from bulkup.recovery import Recovery
from bulkup.settings import Account
from bulkup.visit import DOOR, credentials_of, trust_of


async def log_in(account: Account) -> Offer:
    """Return what the gallery then tells. Raises `RunError` where it refuses the account."""
    door = Recovery(DOOR, emit=lambda _: None, probe=anyio.lowlevel.checkpoint)
    async with connect(
        account.url,
        credentials=credentials_of(account),
        patiently=door.run,
        trust=trust_of(account),
    ) as server:
        return server.offer
