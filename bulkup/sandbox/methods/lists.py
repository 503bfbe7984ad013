"""pwg.images.exist and checkFiles: what the gallery has, asked by sums."""

from bulkup.sandbox.answers import Refusal
from bulkup.sandbox.calls import TEXT, Call, Method, Param

_SEPARATORS = str.maketrans(",;|", "   ")


async def _exist(call: Call) -> object:
    by_name = call.gallery.uniqueness_mode == "filename"
    text = call.text("filename_list" if by_name else "md5sum_list")
    asked = text.translate(_SEPARATORS).split()
    await call.workers.work(call.exist_cost_s * len(asked) / 100_000)
    photos = call.gallery.photos.values()
    ids = {p.file if by_name else p.md5: str(p.id) for p in photos}
    return {item: ids.get(item) for item in dict.fromkeys(asked)} or []


async def _check_files(call: Call) -> object:
    photo = call.gallery.photos.get(call.number("image_id"))
    if photo is None:
        raise Refusal(404, "image_id not found")
    wanted = call.given("file_sum")
    if wanted is None:
        return []
    content = call.gallery.contents.get(photo.path)
    return {"file": "equals" if content and content.md5 == wanted else "differs"}


def methods() -> dict[str, Method]:
    """List the methods of this topic."""
    files = {"image_id": Param("int positive notnull", optional=False), "file_sum": TEXT}
    return {
        "pwg.images.exist": Method(
            _exist, {"md5sum_list": TEXT, "filename_list": TEXT}, admin=True
        ),
        "pwg.images.checkFiles": Method(_check_files, files, admin=True),
    }
