"""The flags that say which albums the photos go to.

Knows the command line library and the settings that flags end up in.
"""

from dataclasses import dataclass
from typing import Annotated

from cyclopts import Group

from bulkup.errors import UsageError
from bulkup.flags import flag
from bulkup.settings import Into

ALBUMS = Group.create_ordered("Albums")


@dataclass(frozen=True, slots=True, kw_only=True)
class AlbumFlags:
    """Which albums."""

    album: Annotated[
        str | None,
        flag(
            "The album: its number, or the names on the way to it, such as Trips/2019.",
            group=ALBUMS,
            short="-a",
            variable="BULKUP_ALBUM",
        ),
    ] = None
    create_albums: Annotated[
        bool,
        flag("Make what is missing of --album.", group=ALBUMS, variable="BULKUP_CREATE_ALBUMS"),
    ] = False
    tree: Annotated[
        bool,
        flag(
            "Make the folders albums below --album, or at the top of the gallery.",
            group=ALBUMS,
            variable="BULKUP_TREE",
        ),
    ] = False
    unwrap: Annotated[
        bool,
        flag(
            "With --tree: make no album of the named folders themselves, only of those in them.",
            group=ALBUMS,
            variable="BULKUP_UNWRAP",
        ),
    ] = False
    flat: Annotated[
        bool,
        flag(
            "Put all photos into --album, whatever folder they lie in; the default.",
            group=ALBUMS,
            variable="BULKUP_FLAT",
        ),
    ] = False
    underscores_to_spaces: Annotated[
        bool,
        flag(
            "With --tree: write blanks in album names for underscores in folder names.",
            group=ALBUMS,
            variable="BULKUP_UNDERSCORES_TO_SPACES",
        ),
    ] = False
    private: Annotated[
        bool,
        flag("Make new albums private.", group=ALBUMS, variable="BULKUP_PRIVATE"),
    ] = False

    def into(self) -> Into:
        """Return the checked values. Raises `UsageError`."""
        if self.album is None and not self.tree:
            raise UsageError(
                "the album is missing",
                hint="Give its number or name: --album N (it stands in the album's address), "
                "or make albums of the folders: --tree.",
            )
        if self.tree and self.flat:
            raise UsageError("--tree and --flat contradict each other", hint="Give one of them.")
        for given, name in (
            (self.unwrap, "--unwrap"),
            (self.underscores_to_spaces, "--underscores-to-spaces"),
        ):
            if given and not self.tree:
                raise UsageError(f"{name} is about --tree", hint="Give --tree too, or neither.")
        if self.private and not (self.tree or self.create_albums):
            raise UsageError(
                "--private is about new albums", hint="Give --tree or --create-albums too."
            )
        text = (self.album or "").strip()
        number = int(text) if text.isdecimal() else None
        path = "" if number is not None else text.strip("/")
        return Into(
            album=number,
            names=tuple(name.strip() for name in path.split("/")) if path else (),
            create=self.create_albums,
            tree=self.tree,
            unwrap=self.unwrap,
            spaces=self.underscores_to_spaces,
            private=self.private,
        )
