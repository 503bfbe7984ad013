"""The gallery's front page: albums and photos to look at.

It knows HTML, and must not know requests, users or the web API.
"""

from html import escape, unescape

from bulkup.sandbox.albums import Album
from bulkup.sandbox.gallery import Gallery
from bulkup.sandbox.records import StoredPhoto

_STYLE = """
  body { font: 16px/1.5 system-ui, sans-serif; margin: 1rem auto; max-width: 75rem;
         padding: 0 1rem; color: #222; background: #fafafa; }
  section section { margin-left: .5rem; padding-left: .75rem; border-left: 2px solid #ddd; }
  h1, h2 { overflow-wrap: anywhere; }
  h2 { font-size: 1.1rem; margin: 1rem 0 .25rem; }
  small { color: #666; font-weight: normal; }
  ul { display: grid; grid-template-columns: repeat(auto-fill, minmax(9rem, 1fr)); gap: .75rem;
       list-style: none; padding: 0; }
  li { overflow-wrap: anywhere; font-size: .85rem; }
  img { width: 100%; height: 7rem; object-fit: cover; background: #eee; border-radius: 4px; }
"""


def front_page(gallery: Gallery, *, path: str) -> str:
    """Write the whole page; `path` is where the gallery lies."""
    count = len(gallery.photos)
    waiting = f", {len(gallery.lounge)} waiting in the lounge" if gallery.lounge else ""
    loose = [p for p in gallery.photos.values() if not p.albums & gallery.albums.keys()]
    sections = [
        _section(gallery, album, path=path)
        for album in _in_order(gallery)
        if album.parent not in gallery.albums
    ]
    if loose:
        sections.append(f"<section><h2>In no album</h2>{_list(loose, path=path)}</section>")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Sandbox gallery</title><style>{_STYLE}</style></head>\n<body>"
        f"<h1>Sandbox gallery</h1><p>{_photos(count)}{waiting} · "
        f"plays Piwigo {escape(gallery.release.version)}</p>\n{''.join(sections)}</body></html>\n"
    )


def _in_order(gallery: Gallery) -> list[Album]:
    return sorted(gallery.albums.values(), key=lambda a: a.order)


def _section(gallery: Gallery, album: Album, *, path: str) -> str:
    photos = gallery.photos_in(album.id)
    below = "".join(
        _section(gallery, child, path=path)
        for child in _in_order(gallery)
        if child.parent == album.id
    )
    title = f"{escape(album.name)} <small>{_photos(len(photos))}</small>"
    return f"<section><h2>{title}</h2>{_list(photos, path=path)}{below}</section>\n"


def _list(photos: list[StoredPhoto], *, path: str) -> str:
    items = []
    for photo in photos:
        # File names were stored with entities; shown are the characters.
        name = escape(unescape(photo.file))
        link = escape(path + photo.path)
        picture = f'<img src="{link}" alt="{name}" loading="lazy">'
        size = f"{photo.size:,} bytes"
        items.append(f'<li><a href="{link}">{picture}</a><br>{name}<br><small>{size}</small></li>')
    return f"<ul>{''.join(items)}</ul>" if items else ""


def _photos(count: int) -> str:
    return f"{count} photo{'s' * (count != 1)}"
