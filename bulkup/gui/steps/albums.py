"""The albums: which one to upload to, what folders become, and a preview of it all."""

import inspect
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from itertools import islice
from pathlib import Path, PurePath
from typing import Final
from urllib.parse import quote, unquote, urlencode

from anyio import to_thread
from multidict import MultiMapping

from bulkup.api import SourceOptions, UploadOptions, filters_of, labels_of, settings_of, table_of
from bulkup.app.album_preview import AlbumPreview, Groups, PreviewedAlbum, preview_albums
from bulkup.app.gallery import list_albums
from bulkup.app.options import build_albums
from bulkup.app.settings import Account
from bulkup.errors import UsageError
from bulkup.gui.session import Session
from bulkup.gui.step import Step, Visit
from bulkup.gui.steps.sources import from_code, to_code
from bulkup.piwigo.protocol import AlbumRow
from bulkup.source.filters import folder_pattern
from bulkup.source.renames import ARROW, read_rename

SHOWN: Final = 300
FOLDERS: Final = 5
CHOICES: Final = ("kind", "target", "album", "path", "levels", "unwrap", "spaces")
PLACING: Final = frozenset(inspect.signature(build_albums).parameters) - {"tree", "album_for_tag"}
"""Options that change the albums, but not which photos are in which folder."""

WALKING: Final = (
    *(each.name for each in fields(SourceOptions)),
    *("tree", "album_for_tag", "convert", "raw_as_format"),
)


def texts_of(value: str | Sequence[str]) -> tuple[str, ...]:
    """Return the values of an option that is a text or several."""
    return (value,) if isinstance(value, str) else tuple(value)


@dataclass(frozen=True, slots=True)
class Choice:
    """An album of the gallery in the picker, with the path of its names."""

    album_id: int
    path: str
    photos: int


@dataclass(frozen=True, slots=True)
class Row:
    """An album in the preview.

    `opens` is whether it is the first one inside the one above, `closes` how many levels end
    before it. `folders` are those that become it, with their codes; none can be left out that was
    chosen itself.
    """

    album: PreviewedAlbum
    opens: bool
    closes: int
    folders: Sequence[Path] = ()
    codes: Sequence[tuple[str, Path]] = ()

    @property
    def code(self) -> str:
        """The name as in forms."""
        return quote(self.album.name)


class Albums(Step):
    """The target album, how folders become albums, and the preview."""

    name = "albums"
    needs = ("gallery", "sources")

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._listing = session.job()
        self._listed: list[Choice] | None = None
        self._listed_for: Account | None = None
        self._previewing = session.job()
        self._preview = AlbumPreview()
        self._groups = Groups()
        self._of: object = None
        self._groups_of: object = None

    @property
    def done(self) -> bool:
        """Whether there are albums to upload to."""
        return self.session.draft.is_valid

    @property
    def running(self) -> bool:
        """Whether it lists albums, or finds those of the photos."""
        return self._listing.running or self._previewing.running

    async def values(self, visit: Visit) -> Mapping[str, object]:
        """Return the form's fields, the albums of the gallery, and the preview."""
        self._list()
        self._look_ahead()
        options, find = self.session.draft.options, visit.query.get("find", "")
        chosen = self._chosen(visit)
        sought = visit.query.get("q", "")
        listed = self._matching(sought, chosen["album"]) if self._listed is not None else []
        rows = self._rows(find)
        return {
            "chosen": chosen,
            "q": sought,
            "find": find,
            "listed": listed[:SHOWN],
            "listed_more": max(0, len(listed) - SHOWN),
            "many": len(self._listed or ()) > SHOWN,
            "listing": self._listing,
            "preview": self._preview,
            "previewing": self._previewing,
            "ready": self._of is not None,
            "rows": rows,
            "ends": rows[-1].album.depth if rows else 0,
            "more": 0 if find else max(0, self._preview.total - len(rows)),
            "searchable": bool(find) or self._preview.total > SHOWN,
            "renames": [(quote(rule), rule) for rule in texts_of(options.rename_album)],
            "left_out": [
                (quote(line, errors="surrogateescape"), line)
                for line in texts_of(options.patterns)
                if line and not line.startswith(("#", "!"))
            ],
        }

    def _chosen(self, visit: Visit) -> dict[str, str]:
        """Return what stands in the form: what was typed, or else what was saved."""
        given: MultiMapping[str] = visit.form if "kind" in visit.form else visit.query
        if "kind" in given:
            return {name: given.get(name, "") for name in CHOICES}
        options = self.session.draft.options
        album = str(options.album or "").strip()
        numbered = album.isdecimal()
        undecided = "top" if options.tree else "existing"
        return {
            "kind": "tree" if options.tree or not album else "flat",
            "target": "existing" if numbered else "new" if album else undecided,
            "album": album if numbered else "",
            "path": "" if numbered else album,
            "levels": str(options.album_levels or ""),
            "unwrap": "on" if options.unwrap else "",
            "spaces": "on" if options.underscores_to_spaces else "",
        }

    def _list(self) -> None:
        """List the albums of the gallery, unless that was done."""
        account = self.session.account
        if account is None or account is self._listed_for:
            return
        self._listed, self._listed_for = None, account
        self._listing.start(partial(self._list_albums, account))

    async def _list_albums(self, account: Account) -> None:
        rows = await list_albums(account)
        self._listed = await to_thread.run_sync(choices, rows)

    def _matching(self, sought: str, album: str) -> list[Choice]:
        """Return the albums whose path contains a text, and the chosen one."""
        text = sought.strip().casefold()
        return [
            choice
            for choice in self._listed or ()
            if text in choice.path.casefold() or str(choice.album_id) == album
        ]

    def _look_ahead(self) -> None:
        """Preview anew if something has changed that the albums depend on."""
        draft, account = self.session.draft, self.session.account
        ready = account is not None and draft.paths and self.done
        walked = tuple(getattr(draft.options, name) for name in WALKING)
        placed = tuple(getattr(draft.options, name) for name in sorted(PLACING))
        of = (account, draft.paths, walked, placed) if ready else None
        if of == self._of:
            return
        self._of = of
        self._previewing.cancel()
        self._preview = preview = AlbumPreview()
        if account is None or of is None:
            return
        if not self._groups.complete or self._groups_of != of[:3]:
            self._groups, self._groups_of = Groups(), of[:3]
        groups, options = self._groups, draft.options

        async def run() -> None:
            await preview_albums(
                draft.paths,
                account=account,
                settings=settings_of(options),
                filters=await to_thread.run_sync(filters_of, options),
                labels=labels_of(options),
                table=await to_thread.run_sync(table_of, options),
                groups=groups,
                preview=preview,
            )

        self._previewing.start(run)

    def _rows(self, find: str) -> list[Row]:
        """Return the albums to show, those that match if some are sought."""
        text = find.strip().casefold()
        albums = self._preview.albums()
        if text:
            albums = (replace(each, depth=0) for each in albums if text in each.name.casefold())
        shown = list(islice(albums, SHOWN))
        folders = {}
        if not self._previewing.running:
            folders = self._preview.folders({each.album_id for each in shown})
        rows, before = [], 0
        for each in shown:
            inside = folders.get(each.album_id, [])
            codes = [(to_code(f), f) for f in inside if f not in self.session.draft.paths]
            opens, closes = each.depth > before, max(0, before - each.depth)
            rows.append(Row(each, opens, closes, inside[:FOLDERS], codes[:FOLDERS]))
            before = each.depth
        return rows

    async def save(self, visit: Visit) -> str:
        """Choose the albums, change one in the preview, or look again."""
        form, options = visit.form, self.session.draft.options
        match form.get("do"):
            case "search":
                typed = {name: form[name] for name in (*CHOICES, "q") if form.get(name)}
                return f"/albums?{urlencode(typed)}"
            case "list":
                self._listed_for = None
            case "stop":
                self._previewing.cancel()
            case "again":
                self._of, self._groups = None, Groups()
            case "rename":
                rule = rename_rule(unquote(form.get("name", "")), form.get("to", ""))
                await self._change(rename_album=(*texts_of(options.rename_album), rule))
            case "rule":
                rule = form.get("rule", "").strip()
                read_rename(rule, flag="--rename-album")
                await self._change(rename_album=(*texts_of(options.rename_album), rule))
            case "albums":
                await self._change(**chosen_options(form))
        if "leave" in form:
            pattern = self._pattern_of(from_code(form["leave"]))
            await self._change(patterns=(*texts_of(options.patterns), pattern))
        if "forget" in form:
            rules = without(options.rename_album, unquote(form["forget"]))
            await self._change(rename_album=rules)
        if "take" in form:
            pattern = unquote(form["take"], errors="surrogateescape")
            await self._change(patterns=without(options.patterns, pattern))
        return "/albums"

    async def _change(self, **values: object) -> None:
        """Change options that are valid together. Raises `UsageError`."""
        options: UploadOptions = replace(self.session.draft.options, **values)  # type: ignore[arg-type]
        settings_of(options)
        await to_thread.run_sync(filters_of, options)
        await self.session.change(options=options)

    def _pattern_of(self, folder: Path) -> str:
        """Return the pattern that leaves out a folder below one that was chosen."""
        for root in self.session.draft.paths:
            if root in folder.parents:
                return folder_pattern(folder.relative_to(root))
        raise UsageError(
            f"{folder} is in none of the chosen folders", hint="Remove it on the page Photos."
        )


def choices(rows: Sequence[AlbumRow]) -> list[Choice]:
    """Return the albums of a gallery for the picker, sorted by their paths."""
    by_id = {row.album_id: row for row in rows}

    def path(row: AlbumRow) -> str:
        names, seen = [row.name], {row.album_id}
        while (above := by_id.get(row.parent)) and above.album_id not in seen:
            names.append(above.name)
            seen.add(above.album_id)
            row = above
        return " / ".join(reversed(names))

    found = [Choice(row.album_id, path(row), row.photos) for row in rows]
    return sorted(found, key=lambda each: (each.path.casefold(), each.album_id))


def rename_rule(name: str, to: str) -> str:
    """Return the rule that gives albums of this name another one. Raises `UsageError`."""
    new = " ".join(to.split())
    if ARROW in new:
        raise UsageError(f"“{ARROW}” can’t be in the name of an album", hint="Leave it out.")
    rule = f"^{re.escape(name)}${ARROW}{new.replace(chr(92), chr(92) * 2)}"
    read_rename(rule, flag="--rename-album")
    return rule


def without(values: str | Sequence[str], value: str) -> tuple[str, ...]:
    """Return the values of an option without the last one that equals a value."""
    kept = list(texts_of(values))
    if value in kept:
        del kept[len(kept) - 1 - kept[::-1].index(value)]
    return tuple(kept)


def chosen_options(form: MultiMapping[str]) -> dict[str, object]:
    """Return the options that a form chooses. Raises `UsageError`."""
    tree, target = form.get("kind") == "tree", form.get("target", "")
    number, path = form.get("album", ""), form.get("path", "").strip()
    if target == "existing" and not number.isdecimal():
        raise UsageError("no album is chosen", hint="Choose one from the list.")
    if target == "new" and not PurePath(path.strip("/ ")).name:
        raise UsageError("the name of the album is missing", hint="Give one, such as Trips/2019.")
    if target == "top" and not tree:
        raise UsageError(
            "photos can’t be at the top level of the gallery",
            hint="Choose an album, or make one of each folder.",
        )
    levels = form.get("levels", "").strip()
    if levels and not (levels.isdecimal() and len(levels) < 5):
        raise UsageError(f"“{levels}” is not a number of levels", hint="Give one, such as 2.")
    chosen: dict[str, object] = {
        "tree": tree,
        "album": int(number) if target == "existing" else path if target == "new" else None,
        "create_albums": target == "new",
        "unwrap": tree and "unwrap" in form,
        "underscores_to_spaces": tree and "spaces" in form,
        "album_levels": int(levels) if tree and levels else None,
    }
    return chosen if tree else chosen | {"rename_album": ()}
