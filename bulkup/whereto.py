"""The flags that say which albums the photos go to, or must be in.

Knows the command line library and the settings that flags end up in.
"""

from dataclasses import dataclass
from typing import Annotated

from bulkup.errors import UsageError
from bulkup.flags import flag, group
from bulkup.settings import Into

ALBUMS = group("Albums")


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderFlags:
    """The album, and what the folders have to do with it."""

    album: Annotated[
        str | None,
        flag(
            "The album: its number, or the names on the way to it, such as Trips/2019; /2019 is "
            "one at the top that is called so.",
            group=ALBUMS,
            short="-a",
            variable="BULKUP_ALBUM",
        ),
    ] = None
    tree: Annotated[
        bool,
        flag(
            "The folders are albums below --album, or at the top of the gallery.",
            group=ALBUMS,
            variable="BULKUP_TREE",
        ),
    ] = False
    unwrap: Annotated[
        bool,
        flag(
            "With --tree: the named folders themselves are no albums, only those in them.",
            group=ALBUMS,
            variable="BULKUP_UNWRAP",
        ),
    ] = False
    flat: Annotated[
        bool,
        flag(
            "All photos belong into --album, whatever folder they lie in; the default.",
            group=ALBUMS,
            variable="BULKUP_FLAT",
        ),
    ] = False
    underscores_to_spaces: Annotated[
        bool,
        flag(
            "With --tree: album names have blanks for underscores in folder names.",
            group=ALBUMS,
            variable="BULKUP_UNDERSCORES_TO_SPACES",
        ),
    ] = False

    def check(self) -> None:
        """Raise `UsageError` where flags contradict each other."""
        if self.tree and self.flat:
            raise UsageError("--tree and --flat contradict each other", hint="Give one of them.")
        for given, name in (
            (self.unwrap, "--unwrap"),
            (self.underscores_to_spaces, "--underscores-to-spaces"),
        ):
            if given and not self.tree:
                raise UsageError(f"{name} is about --tree", hint="Give --tree too, or neither.")

    def meant(self, *, create: bool = False, private: bool = False) -> Into:
        """Return the checked values. Raises `UsageError`."""
        self.check()
        text = (self.album or "").strip()
        number = int(text) if text.isdecimal() else None
        path = "" if number is not None else text.strip("/")
        return Into(
            album=number,
            names=tuple(name.strip() for name in path.split("/")) if path else (),
            create=create,
            tree=self.tree,
            unwrap=self.unwrap,
            spaces=self.underscores_to_spaces,
            private=private,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AlbumFlags(FolderFlags):
    """Which albums photos are brought to."""

    create_albums: Annotated[
        bool,
        flag("Make what is missing of --album.", group=ALBUMS, variable="BULKUP_CREATE_ALBUMS"),
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
        if self.private and not (self.tree or self.create_albums):
            raise UsageError(
                "--private is about new albums", hint="Give --tree or --create-albums too."
            )
        return self.meant(create=self.create_albums, private=self.private)


@dataclass(frozen=True, slots=True, kw_only=True)
class SoughtFlags(FolderFlags):
    """Which albums photos are looked for in."""

    album: Annotated[
        str | None,
        flag(
            "The album that the photos must be in: its number, or the names on the way to it; "
            "without it, and without --tree, they may be anywhere in the gallery.",
            group=ALBUMS,
            short="-a",
            variable="BULKUP_ALBUM",
        ),
    ] = None
    no_sidecars: Annotated[
        bool,
        flag(
            "With --tree: albums are called as the folders, whatever Google Takeout calls them.",
            group=ALBUMS,
            variable="BULKUP_NO_SIDECARS",
        ),
    ] = False

    def into(self) -> Into | None:
        """Return the checked values, None: anywhere. Raises `UsageError`."""
        self.check()
        return None if self.album is None and not self.tree else self.meant()
