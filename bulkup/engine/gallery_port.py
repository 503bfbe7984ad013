"""The ports of the gallery: reading it, changing it, sending photos, refreshing their metadata."""

from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from bulkup.engine.job import Job
from bulkup.source.photos import Chunk, Photo


class AlbumInfo(Protocol):
    """An album as the gallery lists it."""

    @property
    def album_id(self) -> int:
        """Its id."""

    @property
    def name(self) -> str:
        """Its name, as listed."""

    @property
    def parent(self) -> int:
        """The id of its parent album, 0 at the top level."""

    @property
    def private(self) -> bool:
        """Whether only some groups and users see it."""


class AlbumPhoto(Protocol):
    """A photo in an album."""

    @property
    def photo_id(self) -> int:
        """Its id."""

    @property
    def file(self) -> str:
        """Its file name in the gallery."""

    @property
    def date(self) -> str:
        """When it was taken, or else added, as the gallery writes dates; empty if unknown."""


class AlbumDisplay(Protocol):
    """How an album is shown."""

    @property
    def by_rank(self) -> bool:
        """Whether its photos are shown by rank, as far as known."""

    @property
    def other_order(self) -> str:
        """The order of its photos as SQL; empty if that is by rank, or unknown."""

    @property
    def cover(self) -> int:
        """The photo shown as its cover, 0 if unknown."""

    @property
    def order_page(self) -> str:
        """The URL of the page that changes its order."""


class Access(Protocol):
    """The access of some groups and users to private albums."""

    async def load(self) -> None:
        """Ask who has access to which album; the other methods need it. May be repeated."""

    def missing(self, album: int) -> Sequence[str]:
        """Return the names of those who have no access to a private album."""

    def strangers(self, album: int) -> Sequence[str]:
        """Return the names of others who have access, except administrators."""

    async def give(self, album: int) -> None:
        """Give them access to a private album, and to the private ones above it."""


class PhotoIdentity(Protocol):
    """The properties of a photo in the gallery that replacing its file depends on."""

    @property
    def md5(self) -> str:
        """The MD5 of its file, empty where the gallery has not computed it."""

    @property
    def level(self) -> int:
        """Its privacy level."""

    @property
    def file(self) -> str:
        """Its file name in the gallery."""


class GalleryReader(Protocol):
    """Read access to a gallery: nothing here changes it."""

    @property
    def md5s_reliable(self) -> bool:
        """Whether `find` never returns the photo of another file, as far as the version tells."""

    @property
    def replaces(self) -> bool:
        """Whether a photo can get another file and keep its id."""

    @property
    def takes_formats(self) -> bool:
        """Whether files can be attached to photos as further formats."""

    @property
    def moderated(self) -> bool:
        """Whether photos may be hidden from the account until an administrator approves them.

        The account can then change only its own photos.
        """

    async def check_album(self, album: int) -> None:
        """Raise `PhotoError` if the account may not upload to an album."""

    async def find(self, md5s: Collection[str]) -> Mapping[str, int | None]:
        """Return the photo id of each MD5, None if absent.

        MD5s that the server can't look up are missing in the result.
        """

    async def check(self, photo_id: int, md5: str) -> bool | None:
        """Return whether a photo's stored file has this MD5, None where the server can't tell.

        The server reads the whole file. Raises `PhotoGone`.
        """

    async def shrunk(self, photo_id: int, photo: Photo) -> bool:
        """Return whether a photo's file may be this one, made smaller. Raises `PhotoGone`."""

    async def identity(self, photo_id: int) -> PhotoIdentity:
        """Return MD5, level and file name of a photo. Raises `PhotoGone` and `NotOffered`."""

    async def alias(self, photo_id: int) -> str:
        """Return the temporary name that an upload gave a photo, empty if it has its own."""

    async def albums(self) -> Sequence[AlbumInfo]:
        """Return all albums. Raises `NotOffered` where the server does not list them."""

    async def album_name(self, album: int) -> str:
        """Return an album's name, empty where the server can't tell. Raises `RunError`."""

    def album_keys(self, name: str) -> Sequence[str]:
        """Return the spellings under which `albums` may list this name, the likeliest first."""

    def members(self, album: int) -> AsyncGenerator[tuple[int, str], None]:
        """Yield id and alias (as `alias` returns it) of an album's photos, newest first.

        Raises `NotOffered`.
        """

    def album_photos(self, album: int) -> AsyncGenerator[AlbumPhoto, None]:
        """Yield an album's photos in their present order. Raises `NotOffered`."""

    async def album_displays(self) -> Mapping[int, AlbumDisplay]:
        """Return how each album is shown. Raises `NotOffered`."""

    async def has_format(self, photo_id: int, file: str) -> bool | None:
        """Return whether a photo has a format of this file name.

        None where its format with that extension is, or may be, another file.
        """

    async def formats_of(self, photo_id: int, file: str) -> Collection[str] | None:
        """Return the extensions of a photo's formats, None where the server can't tell."""

    async def check_format(self, file: str) -> None:
        """Raise `FormatRefused` if the gallery does not accept a file of this name as a format."""

    async def line_speed(self) -> float | None:
        """Return the upload speed of the connection in bytes a second, None if unknown."""


class GalleryWriter(GalleryReader, Protocol):
    """A gallery whose albums and photos can be changed, except for sending files."""

    async def add_album(self, name: str, *, parent: int, private: bool, comment: str = "") -> int:
        """Create an album and return its id. Raises `PhotoError` where it is refused."""

    async def set_album_name(self, album: int, name: str) -> None:
        """Set the exact name of a newly created album, as far as the server can store it."""

    async def link(self, photo_ids: Sequence[int], *, album: int) -> None:
        """Add photos to an album; they stay in their other albums. Raises `NotOffered`."""

    async def unlink(self, photo_ids: Sequence[int], *, album: int) -> None:
        """Take photos out of an album. Raises `NotOffered`."""

    async def name(self, photo_id: int, photo: Photo) -> None:
        """Give an uploaded photo its real file name, title and other metadata."""

    async def release(self, photo_ids: Sequence[int], *, album: int) -> None:
        """Move finished photos out of the lounge into their albums (seen on Piwigo 13 to 17)."""

    async def report(self, photo_ids: Collection[int], *, album: int) -> Collection[int]:
        """Tell administrators of new photos where they approve them; return those that wait."""

    async def set_order(
        self, photo_ids: Sequence[int], *, album: int, present: Sequence[int] = ()
    ) -> None:
        """Rank all photos of an album in this order. Raises `NotOffered`.

        `present` is their present order by rank, empty if unknown.
        """

    async def set_album_order(self, albums: Sequence[int]) -> None:
        """Put all albums of one parent into this order. Raises `NotOffered`."""

    async def set_cover(self, photo_id: int, *, album: int) -> None:
        """Make a photo the cover of an album. Raises `NotOffered`."""

    async def add_to_caddie(self, photo_ids: Sequence[int]) -> None:
        """Add photos to the caddie of the account. Raises `NotOffered`."""

    async def link_to_new(self, albums: Sequence[int]) -> str:
        """Return the URL of a search for photos added in the last day, empty if unknown.

        It is limited to these albums, if there are any. Raises `NotOffered`.
        """

    async def remove(self, photo_id: int) -> None:
        """Delete a photo that this run has uploaded. Raises `NotOffered`."""


class Receipt(Protocol):
    """The server's answer to a chunk."""

    @property
    def held(self) -> frozenset[int]:
        """The indexes of the chunks that the server holds, perhaps from an earlier run."""

    @property
    def photo_id(self) -> int | None:
        """The id of the photo, if this was the last chunk that was missing."""


class Transfer(Protocol):
    """One attempt to send one photo."""

    @property
    def chunks(self) -> Sequence[Chunk]:
        """The photo's chunks, to be sent in this order."""

    @property
    def repeatable(self) -> bool:
        """Whether a chunk may be sent again when its answer was lost."""

    @property
    def alias(self) -> str:
        """The temporary file name that the photo is sent under, empty if it is the real one."""

    @property
    def remains(self) -> str:
        """The name under which the server keeps a partly sent photo, empty if it keeps none."""

    @property
    def written(self) -> Mapping[str, str]:
        """The metadata of the photo that was set, by the names of its fields."""

    async def prepare(self) -> None:
        """Create on the server what the photo refers to (tags). May be repeated."""

    async def send(self, chunk: Chunk, *, progress: Callable[[int], None]) -> Receipt:
        """Send a chunk that is not the last; `progress` gets the bytes sent so far."""

    async def finish(self, chunk: Chunk, *, progress: Callable[[int], None]) -> int:
        """Send the last chunk and return the photo's id."""

    async def settle(self, photo_id: int) -> Mapping[str, bool]:
        """Set what could not be sent along with the finished photo. May be repeated.

        Return whether the gallery reads kinds of IPTC texts itself, if the photo has shown it.
        """


class PhotoSender(Protocol):
    """The part of a gallery that uploading a photo needs.

    Separate from `GalleryWriter`, because a dry run has none.
    """

    @property
    def repeats_formats(self) -> bool:
        """Whether sending a format again replaces it, rather than adding a second one."""

    def sent_to(self, job: Job) -> Collection[int]:
        """Return the albums that a photo gets by being sent; it has to be added to the others."""

    def transfer(
        self,
        job: Job,
        *,
        level: int,
        attempt: int,
        fallback: bool,
        chunk_size: int,
        tail: Callable[[int], int],
    ) -> AbstractAsyncContextManager[Transfer]:
        """Begin the `attempt`-th attempt, from 1, to send the file of a job.

        `fallback` uses the second best upload method. `tail` returns how many bytes of a last
        chunk, given its size, are to be sent as a chunk of their own.
        """

    async def find(self, md5s: Collection[str]) -> Mapping[str, int | None]:
        """Return the photo id of each MD5, as `GalleryReader.find`."""

    async def sweep(self, name: str) -> None:
        """Delete a partly sent photo that the server keeps under this name."""


class MetadataDifference(Protocol):
    """How a photo's metadata in the gallery differs from that of its file; maps are by field."""

    @property
    def changes(self) -> Mapping[str, tuple[str, str]]:
        """The values to be replaced, each with the new one."""

    @property
    def kept(self) -> Mapping[str, tuple[str, str]]:
        """The values that were edited in the gallery, each with that of the file."""

    @property
    def written(self) -> Mapping[str, str]:
        """The metadata that bulkup has set, after `apply`."""

    @property
    def albums(self) -> Collection[int]:
        """The albums of the photo, and those above them."""

    async def apply(self) -> None:
        """Change the photo. May be repeated."""


class MetadataRefresher(Protocol):
    """The part of a gallery that refreshing the metadata of photos needs."""

    async def compare(
        self,
        photo_id: int,
        photo: Photo,
        *,
        md5: str,
        level: int,
        written: Mapping[str, str],
        overwrite: bool,
    ) -> MetadataDifference:
        """Return how the metadata of a photo differs.

        A `level` above 0 is the privacy level that it should have. A value in the gallery that is
        neither `written` by bulkup nor empty stays, unless with `overwrite`. Raises `PhotoGone`
        where there is no such photo, or it has another MD5.
        """
