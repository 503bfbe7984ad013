"""Which files a gallery takes, and under which extension it stores them, by version.

It knows extensions and MIME types, and must not know where a file goes.
"""

from bulkup.sandbox import php
from bulkup.sandbox.answers import Died, Refusal
from bulkup.sandbox.pictures import Picture
from bulkup.sandbox.versions import PICTURE_TYPES

_MIME = {
    "jpg": {"image/jpeg"},
    "jpeg": {"image/jpeg"},
    "png": {"image/png"},
    "gif": {"image/gif"},
    "webp": {"image/webp"},
    "tif": {"image/tiff"},
    "tiff": {"image/tiff"},
    "svg": {"image/svg+xml"},
    "heic": {"image/heic", "image/heif"},
    "mp4": {"video/mp4"},
    "mpg": {"video/mpeg"},
    "mp3": {"audio/mpeg"},
    "ogg": {"audio/ogg"},
    "avi": {"video/x-msvideo"},
    "pdf": {"application/pdf"},
    "zip": {"application/zip"},
}


def accept(picture: Picture, *, file: str, allowed: tuple[str, ...], major: int) -> str:
    """Give the extension to store a file under; raises Refusal or Died when it is not taken."""
    extension = php.extension(file)
    if major >= 17:
        return _by_name(picture, file=file, extension=extension, allowed=allowed)
    if picture.kind and (picture.kind != "webp" or major >= 14):
        return picture.kind
    if set(allowed) <= set(PICTURE_TYPES):
        raise Died("forbidden file type")
    if major >= 16 and picture.mime == "image/svg+xml" and extension != "svg":
        raise _mismatch(picture, file=file, extension=extension)
    if extension not in allowed:
        raise Died("unexpected file type")
    return extension


def _by_name(picture: Picture, *, file: str, extension: str, allowed: tuple[str, ...]) -> str:
    if extension not in allowed:
        raise Refusal(415, "forbidden file type")
    if picture.mime not in _MIME.get(extension, {picture.mime}):
        raise _mismatch(picture, file=file, extension=extension)
    return "jpg" if extension == "jpeg" else extension


def _mismatch(picture: Picture, *, file: str, extension: str) -> Refusal:
    return Refusal(
        415,
        f'File extension "{extension}" for file "{file}" does not match '
        f'file MIME type "{picture.mime}"',
    )
