"""The end of an upload: uploadCompleted and emptyLounge, and checkUpload before it."""

from bulkup.sandbox.answers import FatalError
from bulkup.sandbox.calls import REQUIRED, Call, Method, Param
from bulkup.sandbox.methods.upload import label
from bulkup.sandbox.versions import Release


async def _upload_completed(call: Call) -> dict[str, object]:
    call.check_token()
    moved = await _empty(call)
    album_id = call.number("category_id")
    if not album_id:
        raise FatalError("mysqli_sql_exception: You have an error in your SQL syntax")
    count = str(call.gallery.count_in(album_id))
    category = {"id": album_id, "nb_photos": count, "label": label(call, album_id)}
    return {"moved_from_lounge": moved, "category": category}


async def _empty_lounge(call: Call) -> dict[str, object]:
    return {"rows": await _empty(call)}


async def _empty(call: Call) -> object:
    rows = await call.gallery.empty_lounge()
    if rows is None:
        return None
    return [{"image_id": str(photo), "category_id": str(album)} for photo, album in rows]


async def _check_upload(_call: Call) -> dict[str, object]:
    return {"message": None, "ready_for_upload": True}


def methods(release: Release) -> dict[str, Method]:
    """List the methods of this topic."""
    completed = {
        "image_id": Param(array=True),
        "pwg_token": REQUIRED,
        "category_id": Param("int positive notnull", optional=release.major < 14),
    }
    return {
        "pwg.images.uploadCompleted": Method(_upload_completed, completed, admin=True),
        "pwg.images.emptyLounge": Method(_empty_lounge, admin=True),
        "pwg.images.checkUpload": Method(_check_upload, admin=True),
    }
