"""The gallery's tables: photos, albums, tags, and the lounge."""

import asyncio
import re
import secrets
from collections.abc import Awaitable, Callable, Container, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import KW_ONLY, dataclass, field
from datetime import datetime
from pathlib import Path

from bulkup.sandbox import php
from bulkup.sandbox.files import Buffers, Content, Formats, Keep, accept
from bulkup.sandbox.php import Died, FatalError
from bulkup.sandbox.versions import Release

_DATES = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d")
_MAX_TEXT = 255
_MAX_COMMENT_BYTES = 65535
_MAX_ALBUM_ID = 65535
_BETWEEN_LOOKING_AND_INSERTING_S = 0.002
_LOUNGE_WAIT_S = 300.0
_LOUNGE_MARKER_S = 60.0


@dataclass(slots=True)
class StoredPhoto:
    """A row of the table of photos, with its links; `md5` is the client's, or else computed.

    A photo that a synchronisation of folders found has none until setMd5sum.
    """

    id: int
    file: str
    name: str
    md5: str | None
    size: int
    path: str
    date_available: str
    added_at: float
    added_by: int
    width: int | None = None
    height: int | None = None
    level: int = 0
    author: str | None = None
    comment: str | None = None
    date_creation: str | None = None
    representative_ext: str | None = None
    position: tuple[str, str] | None = None
    albums: set[int] = field(default_factory=set)
    tags: set[int] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag."""

    id: int
    name: str
    url_name: str
    lastmodified: str


def storable(text: str) -> str:
    """Check a text for a column: UTF-8 of three bytes, 255 characters. Raises `FatalError`."""
    return _checked(text, fits=len(text) <= _MAX_TEXT)


def storable_comment(text: str) -> str:
    """Check a text for a column of comments, which counts bytes. Raises `FatalError`."""
    return _checked(text, fits=len(text.encode("utf-8", "surrogatepass")) <= _MAX_COMMENT_BYTES)


def storable_date(text: str) -> str:
    """Return a date as the database writes it. Raises `FatalError`."""
    for form in _DATES:
        try:
            return datetime.strptime(text, form).strftime(_DATES[0])  # noqa: DTZ007 - no zone
        except ValueError:
            continue
    raise FatalError("mysqli_sql_exception: Incorrect datetime value")


def _checked(text: str, *, fits: bool) -> str:
    if not fits or any(ord(c) > 0xFFFF or 0xD800 <= ord(c) <= 0xDFFF for c in text):
        raise FatalError("mysqli_sql_exception: Incorrect string value or data too long")
    return text


@dataclass(slots=True)
class Album:
    """An album; `uppercats` is the path of ids from the root, as "1,2,5"."""

    id: int
    name: str
    parent: int | None = None
    status: str = "public"
    comment: str | None = None
    uppercats: str = ""
    rank: int = 0
    global_rank: str = ""
    representative: int | None = None
    image_order: str = ""

    @property
    def path(self) -> list[int]:
        """The ids from the root down to this album."""
        return [int(i) for i in self.uppercats.split(",") if i]

    @property
    def order(self) -> list[int]:
        """The sort key among all albums."""
        return [int(part or -1) for part in self.global_rank.split(".")]


@dataclass(slots=True)
class Group:
    """A group of users."""

    name: str
    members: set[int] = field(default_factory=set)


class Lounge:
    """The waiting table: rows of photo and album, each at most once, by album."""

    def __init__(self) -> None:
        self._waiting: dict[int, dict[int, None]] = {}

    def __contains__(self, row: tuple[int, int]) -> bool:
        photo_id, album_id = row
        return photo_id in self._waiting.get(album_id, ())

    def enter(self, photo_id: int, album_id: int) -> None:
        """Add a row."""
        self._waiting.setdefault(album_id, {})[photo_id] = None

    def rows(self) -> list[tuple[int, int]]:
        """Return all rows, sorted by album and photo."""
        return [(p, a) for a in sorted(self._waiting) for p in sorted(self._waiting[a])]

    def forget(self, last: int) -> None:
        """Delete the rows of all photos up to this one."""
        for album_id, photos in self._waiting.items():
            self._waiting[album_id] = {p: None for p in photos if p > last}

    def count(self, album_id: int, *, without: AbstractSet[int]) -> int:
        """Count the photos that wait for an album, except some."""
        photos = self._waiting.get(album_id, {})
        return len(photos) - len(photos.keys() & without)

    def first(self, known: Container[int]) -> int | None:
        """Return the lowest number of a waiting photo that still exists."""
        lowest = min((min(photos) for photos in self._waiting.values() if photos), default=None)
        if lowest is None or lowest in known:
            return lowest
        return min((p for p, _ in self.rows() if p in known), default=None)


@dataclass
class Gallery:
    """Photos, albums, tags and lounge of one gallery.

    `keep` is where the bytes of photos are kept. `folder` holds files, and even if only MD5s are
    kept, chunks.
    """

    release: Release
    _: KW_ONLY
    folder: Path
    keep: Keep
    file_types: tuple[str, ...]
    formats: Formats
    detect_duplicates: bool
    uniqueness_mode: str
    use_iptc: bool
    with_lounge: bool
    lounge_s: float
    clock: Callable[[], float]

    def __post_init__(self) -> None:
        self.photos: dict[int, StoredPhoto] = {}
        self.albums: dict[int, Album] = {}
        self.tags: dict[int, Tag] = {}
        self.contents: dict[str, Content] = {}
        self.buffer_folder = Buffers(self.folder, keep=self.keep)
        self.lounge_emptied_since: float | None = None
        self._lounge = Lounge()
        self._linked: set[int] = set()
        self._links: dict[int, set[int]] = {}
        self.ranks: dict[tuple[int, int], int] = {}  # by album and photo
        self._last_ranks: dict[int, int] = {}  # by album
        self.caddies: dict[int, set[int]] = {}  # by user
        self.groups: dict[int, Group] = {}
        self.group_access: set[tuple[int, int]] = set()  # group and album
        self.user_access: set[tuple[int, int]] = set()  # user and album
        self._latest: dict[str, int] = {}
        self._last_ids = {"photo": 0, "album": 0, "tag": 0}

    @property
    def buffers(self) -> dict[str, int]:
        """The files in upload/buffer with their sizes."""
        return {name: content.size for name, content in self.buffer_folder.contents.items()}

    @property
    def lounge(self) -> list[tuple[int, int]]:
        """The rows of the lounge: photo and album."""
        return self._lounge.rows()

    def content(self, photo_id: int) -> bytes:
        """Return the stored bytes of a photo; call it in a thread where photos are files."""
        return self.contents[self.photos[photo_id].path].read()

    def content_at(self, path: str) -> Content | None:
        """Return the file at a path, of a photo or of one of its formats, None without one."""
        folder, _, file = path.rpartition("/pwg_format/")
        if not folder:
            return self.contents.get(path)
        stem, _, ending = file.rpartition(".")
        rows = [
            row
            for photo in self.photos.values()
            if photo.path.rpartition(".")[0] == f"{folder}/{stem}"
            for row in self.formats.of(photo.id)
            if row.extension == ending
        ]
        return rows[0].content if rows else None

    def make_album(self, name: str, parent: int | None = None) -> int:
        """Add an album and return its id."""
        return self.add_album(name, parent=parent).id

    # albums and tags

    def add_album(
        self,
        name: str,
        *,
        parent: int | None = None,
        status: str = "public",
        comment: str | None = None,
        last: bool = False,
    ) -> Album:
        """Add an album below a parent or at the top.

        An unknown parent makes a broken path, as in Piwigo.
        """
        name = storable(name)
        comment = None if comment is None else storable_comment(comment)
        number, above = self._next("album"), self.albums.get(parent or 0)
        ranks = [a.rank for a in self.albums.values() if a.parent == parent]
        album = self.albums[number] = Album(
            number,
            name,
            parent=above.id if above else None,
            status="private" if above and above.status == "private" else status,
            comment=comment,
            uppercats=f"{above.uppercats if above else ''},{number}" if parent else str(number),
            rank=max(ranks, default=-1) + 1 if last else 0,
        )
        self._rank_albums()
        return album

    def order_albums(self, ids: Sequence[int]) -> None:
        """Put the albums of one parent into this order."""
        for rank, album_id in enumerate(ids, start=1):
            self.albums[album_id].rank = rank
        self._rank_albums()

    def delete_album(self, album_id: int) -> None:
        """Delete an album and all below it; the photos stay."""
        for album in self.subtree(album_id):
            for photo_id in set(self._links.get(album.id, ())):
                self.unlink(photo_id, album.id)
            del self.albums[album.id]
            self.group_access = {row for row in self.group_access if row[1] != album.id}
            self.user_access = {row for row in self.user_access if row[1] != album.id}
        self._rank_albums()

    def may_see(self, album: Album, user_id: int) -> bool:
        """Return whether a user who is no administrator may see an album."""
        return all(
            self.albums[i].status == "public"
            or (user_id, i) in self.user_access
            or any(
                user_id in g.members and (n, i) in self.group_access
                for n, g in self.groups.items()
            )
            for i in album.path
            if i in self.albums
        )

    def give_access(
        self, album_ids: Iterable[int], *, groups: Iterable[int] = (), users: Iterable[int] = ()
    ) -> None:
        """Give access to the private ones of these albums and of those above them."""
        paths = {
            i
            for album_id in album_ids
            if album_id in self.albums
            for i in self.albums[album_id].path
        }
        private = [i for i in paths if i in self.albums and self.albums[i].status == "private"]
        self.group_access |= {(group, i) for group in groups for i in private}
        self.user_access |= {(user, i) for user in users for i in private}

    def _rank_albums(self) -> None:
        """Set the rank of each album below its parent, and the path of ranks."""
        counted: dict[int | None, int] = {}
        for album in sorted(self.albums.values(), key=lambda a: (a.rank, a.name)):
            album.rank = counted[album.parent] = counted.get(album.parent, 0) + 1
        for album in self.albums.values():
            path = album.uppercats.replace(",", ".")
            ranks = re.sub(r"\d+", lambda m: str(self.albums[int(m[0])].rank), path)
            album.global_rank = ranks

    def subtree(self, album_id: int) -> list[Album]:
        """Return an album and all below it."""
        return [a for a in self.albums.values() if album_id in a.path]

    def fullname(self, album: Album, *, separator: str = " / ") -> str:
        """Return the names from the root down; an unknown id has an empty name."""
        ids = [int(i) if i else 0 for i in album.uppercats.split(",")]
        return separator.join(self.albums[i].name if i in self.albums else "" for i in ids)

    def photos_in(self, album_id: int) -> list[StoredPhoto]:
        """Return the photos linked to an album, without the lounge."""
        ids = sorted(self._links.get(album_id, ()))
        return [self.photos[i] for i in ids if i in self.photos]

    def count_in(self, album_id: int) -> int:
        """Count the links of an album, including those to deleted photos."""
        return len(self._links.get(album_id, ()))

    def add_tag(self, name: str, *, url_name: str) -> Tag:
        """Add a tag."""
        tag = Tag(self._next("tag"), storable(name), storable(url_name), php.now())
        self.tags[tag.id] = tag
        return tag

    def _next(self, kind: str) -> int:
        self._last_ids[kind] += 1
        return self._last_ids[kind]

    # photos

    def find(self, md5: str) -> StoredPhoto | None:
        """Return the photo with this MD5, the last one if there are several."""
        if md5 not in self._latest:
            return None
        photo = self.photos.get(self._latest[md5])
        if photo is None or photo.md5 != md5:
            # deleted or replaced; there may be an older one
            photo = next((p for p in reversed(self.photos.values()) if p.md5 == md5), None)
        return photo

    async def synchronise(self, file: str, data: bytes, album_id: int) -> StoredPhoto:
        """Add a photo as the synchronisation of a folder does: without an MD5."""
        content = Content(in_memory=True)
        await content.append(data)
        photo = StoredPhoto(
            id=self._next("photo"),
            file=storable(file),
            name=storable(php.title(file)),
            md5=None,
            size=0,
            path=f"galleries/{album_id}/{file}",
            date_available=php.now(),
            added_at=self.clock(),
            added_by=1,
        )
        self._register(content, photo)
        self.photos[photo.id] = photo
        self.link(photo.id, album_id)
        return photo

    def set_md5(self, photo: StoredPhoto, md5: str | None) -> None:
        """Set the MD5 of a photo."""
        photo.md5 = md5
        if md5:
            self._latest[md5] = photo.id

    async def store(
        self,
        content: Content,
        file: str,
        *,
        albums: list[int],
        level: int,
        user_id: int,
        finish: Callable[[], Awaitable[None]],
        replace: int | None = None,
        md5: str | None = None,
    ) -> tuple[StoredPhoto, bool]:
        """Store an uploaded file; return the photo and whether it is a new row.

        Raises `Refusal`, `Died` or `FatalError`, some after the file was moved or the row added.
        """
        file = php.entities(file)
        md5 = md5 or content.md5
        if replace is None and self.detect_duplicates and (known := self.find(md5)):
            await content.remove()
            self._enter(known, albums)
            return known, False
        # Piwigo checks and inserts without a lock: equal contents stored at once are both new.
        await asyncio.sleep(_BETWEEN_LOOKING_AND_INSERTING_S)
        if replace is None:
            photo = await self._insert(content, file, md5=md5, user_id=user_id)
            photo.level = level
        elif replace not in self.photos:
            raise Died("[add_uploaded_file] this photo does not exist in the database")
        else:
            photo = self.photos[replace]
            photo.file, photo.level = storable(file), level
            await self.formats.lose_files(replace)
            await self._put(content, photo)
        self.set_md5(photo, md5)
        self._enter(photo, albums)
        await finish()
        return photo, replace is None

    async def _insert(self, content: Content, file: str, *, md5: str, user_id: int) -> StoredPhoto:
        picture = content.picture
        try:
            kind = accept(picture, file=file, allowed=self.file_types, major=self.release.major)
        except Exception:
            await content.remove()
            raise
        now = php.now()
        stamp = "".join(c for c in now if c.isdigit())
        tail = md5[:4] + secrets.token_hex(2) if self.release.random_paths else md5[:8]
        path = f"upload/{now[:10].replace('-', '/')}/{stamp}-{tail}.{kind}"
        photo = StoredPhoto(
            id=0,
            file=storable(file),
            name=storable(php.title(file)),
            md5=md5,
            size=content.size,
            path=path,
            date_available=now,
            added_at=self.clock(),
            added_by=user_id,
            representative_ext="png" if kind in {"tif", "tiff"} else None,
        )
        await self._put(content, photo)
        photo.id = self._next("photo")
        self.photos[photo.id] = photo
        return photo

    async def _put(self, content: Content, photo: StoredPhoto) -> None:
        """Move a file to the photo's path."""
        if self.keep == "sums":
            await content.remove()
            content.path = None
        await content.move(self.folder / photo.path)
        self._register(content, photo)

    def _register(self, content: Content, photo: StoredPhoto) -> None:
        self.contents[photo.path] = content
        content.seal()
        picture = content.picture
        photo.size, photo.width, photo.height = content.size, picture.width, picture.height
        photo.date_creation = picture.taken or photo.date_creation
        photo.position = picture.position or photo.position
        if self.use_iptc:
            self._read_iptc(photo, picture.iptc)

    def _read_iptc(self, photo: StoredPhoto, iptc: Mapping[int, Sequence[str]]) -> None:
        """Set what Piwigo reads with `use_iptc`, by its default mapping; tags replace others."""
        texts = {number: php.strip_tags(",".join(values[:1])) for number, values in iptc.items()}
        photo.name = texts.get(5, photo.name).replace("\n", " ")
        photo.comment = texts.get(120, photo.comment)
        photo.author = texts.get(122, photo.author)
        if match := re.search(r"(\d{4})(\d\d)(\d\d)", texts.get(55, "")):
            photo.date_creation = storable_date("-".join(match.groups()))
        if keywords := php.strip_tags(",".join(iptc.get(25, ()))):
            names = [name for name in re.split(r"[.,;\r\n]+", keywords) if name]
            photo.tags = {self._tag_id(name) for name in dict.fromkeys(names)}

    def _tag_id(self, name: str) -> int:
        """Return the tag of this name, a new one if there is none."""
        for tag in self.tags.values():
            if tag.name.casefold() == name.strip().casefold():
                return tag.id
        return self.add_tag(name.strip(), url_name=php.url_name(name.strip())).id

    async def delete(self, photo_id: int) -> bool:
        """Delete a photo with its file, but not its rows in the lounge."""
        photo = self.photos.pop(photo_id, None)
        if photo is None:
            return False
        self.formats.forget(photo_id)
        for album_id in photo.albums:
            self._links[album_id].discard(photo_id)
        self._linked.discard(photo_id)
        for album in self.albums.values():
            if album.representative == photo_id:
                album.representative = None
        if content := self.contents.pop(photo.path, None):
            await content.remove()
        return True

    def link(self, photo_id: int, album_id: int) -> None:
        """Put a photo, which need not exist, into an album, at its end."""
        if photo_id not in self._links.get(album_id, ()):
            self.rank(photo_id, album_id, self._last_ranks.get(album_id, 0) + 1)
        self._links.setdefault(album_id, set()).add(photo_id)
        if photo := self.photos.get(photo_id):
            photo.albums.add(album_id)
            self._linked.add(photo_id)
            if (album := self.albums.get(album_id)) and album.representative is None:
                album.representative = photo_id

    def rank(self, photo_id: int, album_id: int, rank: int) -> None:
        """Give a photo a rank in an album."""
        self.ranks[album_id, photo_id] = rank
        self._last_ranks[album_id] = max(rank, self._last_ranks.get(album_id, 0))

    def unlink(self, photo_id: int, album_id: int) -> None:
        """Take a photo out of an album."""
        self._links.get(album_id, set()).discard(photo_id)
        if photo := self.photos.get(photo_id):
            photo.albums.discard(album_id)
            if not photo.albums:
                self._linked.discard(photo_id)

    # the lounge

    def _enter(self, photo: StoredPhoto, albums: list[int]) -> None:
        """Add a photo to the lounge, or link it where there is none."""
        for album_id in albums:
            if not self.with_lounge:
                self.link(photo.id, album_id)
                continue
            entry = (photo.id, min(album_id, _MAX_ALBUM_ID))
            if self.release.major < 14 and (album_id > _MAX_ALBUM_ID or entry in self._lounge):
                raise FatalError("mysqli_sql_exception: out of range or duplicate in the lounge")
            self._lounge.enter(*entry)

    async def empty_lounge(self) -> list[tuple[int, int]] | None:
        """Link the photos of the lounge; return None while another request does so."""
        since = self.lounge_emptied_since
        dead = self.release.major >= 15 and since is not None
        if since is not None and not (dead and self.clock() - since > _LOUNGE_MARKER_S):
            return None
        self.lounge_emptied_since = self.clock()
        rows = self._lounge.rows()
        if self.lounge_s:
            await asyncio.sleep(self.lounge_s)
        for photo_id, album_id in rows:
            self.link(photo_id, album_id)
        # Piwigo deletes all rows up to the largest id it read, including those added since.
        self._lounge.forget(max((photo_id for photo_id, _ in rows), default=0))
        self.lounge_emptied_since = None
        return rows

    def lounge_is_due(self) -> bool:
        """Return whether a photo has waited so long that any request empties the lounge."""
        first = self.photos.get(self._lounge.first(self.photos) or 0)
        return first is not None and self.clock() - first.added_at > _LOUNGE_WAIT_S

    def waiting_for(self, album_id: int) -> int:
        """Count the rows of the lounge that count as photos of this album."""
        linked = self._linked if self.release.major >= 16 else set()
        return self._lounge.count(album_id, without=linked)
