"""Positions of photos, which clients can set with the plugin piwigo-openstreetmap."""

from typing import Final

from bulkup.errors import NotOffered, PhotoError, ServerCrashed
from bulkup.piwigo.protocol import Ask, Fields, Offer, Request, Stored
from bulkup.source.metadata import Position

PLUGIN: Final = "piwigo-openstreetmap"
PLUGINS: Final = "pwg.plugins.getList"
CLOSE: Final = 0.00001
"""How far a stored coordinate may differ, in degrees: the database has six decimals."""


class Positions:
    """Whether the gallery takes positions; Piwigo itself reads only those in EXIF data.

    The plugin adds fields to `pwg.images.setInfo` from 2025-04-15 on, and does not tell its
    version. So `taken` is None until the plugin is looked up, and False if it is missing, or if
    the first photo shows that it ignores them; `is_proved` is whether one has shown the contrary.
    """

    def __init__(self, offer: Offer) -> None:
        self.taken: bool | None = None
        self._offer = offer
        self.is_proved = False

    async def are_taken(self, *, ask: Ask) -> bool:
        """Return whether the plugin is active, as far as is known. May be repeated."""
        if self.taken is None:
            self.taken = await self._is_active(ask)
        return self.taken

    async def _is_active(self, ask: Ask) -> bool:
        if PLUGINS not in self._offer.methods:
            return False
        try:
            plugins = await ask(Request(PLUGINS))
        except (NotOffered, PhotoError, ServerCrashed):
            return False
        return isinstance(plugins, list) and any(
            isinstance(each, dict) and each.get("id") == PLUGIN and each.get("state") == "active"
            for each in plugins
        )

    def prove(self, position: Position, stored: Stored) -> bool:
        """Return whether a photo has the position that was set; `stored` are its fields since."""
        self.taken = self.is_proved = are_close(position_of(stored), position)
        return self.is_proved


def position_of(stored: Stored) -> Position | None:
    """Return the position of a photo with these fields, None without one."""
    try:
        return float(str(stored["latitude"])), float(str(stored["longitude"]))
    except (KeyError, ValueError):
        return None


def are_close(there: Position | None, position: Position) -> bool:
    """Return whether a stored position is this one."""
    return there is not None and all(
        abs(one - other) <= CLOSE for one, other in zip(there, position, strict=True)
    )


def has_position(stored: Stored) -> bool | None:
    """Return whether a photo with these fields has a position, None if they don't tell."""
    if not {"latitude", "longitude"} <= stored.keys():
        return None
    return stored["latitude"] is not None or stored["longitude"] is not None


def position_fields(position: Position) -> Fields:
    """Return the fields that set a position. The plugin would ignore a plain 0 (its source)."""
    latitude, longitude = position_text(position).split(", ")
    return ("latitude", latitude), ("longitude", longitude)


def position_text(position: Position) -> str:
    """Return a position as it is shown, and kept in the ledger; -0 is 0, as in the database."""
    latitude, longitude = (round(coordinate, 6) + 0.0 for coordinate in position)
    return f"{latitude:.6f}, {longitude:.6f}"
