"""The albums of a gallery, to be looked at.

Knows how to ask for them, and neither flags nor screens.
"""

from collections.abc import Sequence

import anyio
import anyio.lowlevel

from bulkup.errors import NotOffered, PhotoError, RunError, Transient
from bulkup.failures import stops
from bulkup.piwigo.connect import connect
from bulkup.piwigo.results import AlbumRow
from bulkup.recovery import Recovery
from bulkup.settings import Account
from bulkup.visit import DOOR, credentials_of, trust_of


async def list_albums(account: Account) -> Sequence[AlbumRow]:
    """Return the gallery's albums. Raises `RunError` where it does not list them."""
    door = Recovery(DOOR, emit=lambda _: None, probe=anyio.lowlevel.checkpoint)
    async with connect(
        account.url,
        credentials=credentials_of(account),
        patiently=door.run,
        trust=trust_of(account),
    ) as server:
        try:
            return await door.run(server.albums)
        except (NotOffered, PhotoError, Transient) as error:
            raise RunError(stops.ALBUMS_UNTOLD(reason=error.message)) from None
