"""How large a request may be: bodies that a server takes in, and of which nothing stays there.

Knows one question whose answer tells whether a file came through. `pwg.images.addSimple` looks at
the file that PHP has taken in, then for the photo that it is to replace; there is no such photo
here, and no answer before that touches the gallery. PHP itself removes the file. Seen on Piwigo 13
to 17, whatever file types they take; half a body leaves nothing either.
"""

import os
from typing import Final

from aiohttp.abc import AbstractStreamWriter

from bulkup.errors import Damaged, PhotoGone
from bulkup.photos import PIECE
from bulkup.piwigo.bodies import Form
from bulkup.piwigo.sessions import SessionPool
from bulkup.piwigo.wire import Fields

METHOD: Final = "pwg.images.addSimple"

NO_PHOTO: Final = 2**31 - 1
"""No photo has this number: Piwigo's end at 2^24 - 1 (`mediumint unsigned`)."""


class Filler(Form):
    """A file of `size` random bytes, which is no picture and has no name that one could have."""

    def __init__(self, fields: Fields, size: int) -> None:
        super().__init__(fields, name="image", filename="bulkup-probe", size=size)
        self._left = size
        self._piece = os.urandom(PIECE)

    async def write_part(self, writer: AbstractStreamWriter) -> None:
        """Send the bytes."""
        left = self._left
        while left:
            length = min(left, len(self._piece))
            left -= length
            await self.put(writer, self._piece[:length], last=not left)


async def send_through(pool: SessionPool, size: int) -> None:
    """Send a file of so many bytes, of which nothing stays.

    Raises `TooLarge` where it is over one of the server's limits, and what `SessionPool.send`
    raises.
    """
    fields = (("method", METHOD), ("image_id", str(NO_PHOTO)))
    try:
        async with pool.lease() as session:
            await pool.send_form(Filler(fields, size), session)
    except (PhotoGone, Damaged):  # what else is refused for its type has come through as well
        return
