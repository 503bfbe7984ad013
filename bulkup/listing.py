"""The albums of a gallery, to be looked at.

Knows how to ask for them, and neither flags nor screens.
"""

from collections.abc import Sequence

import anyio
import anyio.lowlevel

from bulkup.errors import NotOffered, PhotoError, RunError, Transient
from bulkup.piwigo.connect import connect
from bulkup.piwigo.results import AlbumRow
from bulkup.piwigo.sessions import Credentials
from bulkup.policy import Policy
from bulkup.recovery import Recovery
from bulkup.settings import Account

TRIES = 4


async def list_albums(account: Account) -> Sequence[AlbumRow]:
    """Return the gallery's albums. Raises `RunError` where it does not list them."""
    door = Recovery(Policy(retries=TRIES), emit=lambda _: None, probe=anyio.lowlevel.checkpoint)
    credentials = Credentials(
        user=account.user, password=account.password, api_key=account.api_key
    )
    async with connect(account.url, credentials=credentials, patiently=door.run) as server:
        try:
            return await door.run(server.albums)
        except (NotOffered, PhotoError, Transient) as error:
            raise RunError(
                f"the gallery does not list its albums: {error.message}",
                hint="Try again later; a Piwigo of our days lists them.",
            ) from None
