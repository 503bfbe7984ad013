"""The page to look at: albums, photos, nothing that a name could break."""

from bulkup.sandbox import Sandbox
from tests.support.gallery_client import JPEG, GalleryClient


async def test_an_empty_gallery_has_a_page() -> None:
    async with Sandbox(albums=()) as box, GalleryClient(box.url) as client:
        page = await client.page()
    assert (page.status, page.content_type) == (200, "text/html")
    assert "0 photos" in page.text


async def test_albums_lie_in_albums() -> None:
    async with Sandbox(albums=("Trips",)) as box, GalleryClient(box.url) as client:
        box.gallery.make_album("Day 1", 1)
        text = (await client.page()).text
    assert text.index("Trips") < text.index("Day 1") < text.index("</section>")


async def test_names_are_text_and_not_html() -> None:
    async with Sandbox(albums=("<script>A</script>",)) as box, GalleryClient(box.url) as client:
        await client.upload(JPEG, name="<b>&'\".jpg")
        await client.call("pwg.images.emptyLounge")
        text = (await client.page()).text
    assert "<script>" not in text
    assert "&lt;b&gt;&amp;" in text


async def test_photos_are_shown_with_their_sizes() -> None:
    async with Sandbox() as box, GalleryClient(box.url) as client:
        await client.upload(JPEG, name="a.jpg")
        await client.call("pwg.images.emptyLounge")
        text = (await client.page()).text
    assert f"{len(JPEG):,} bytes" in text


async def test_a_photo_in_no_album_is_shown_too() -> None:
    async with Sandbox() as box, GalleryClient(box.url) as client:
        await client.upload(JPEG, name="a.jpg")
        text = (await client.page()).text
    assert "In no album" in text
    assert "1 waiting in the lounge" in text


async def test_the_picture_of_the_page_is_the_photo_itself() -> None:
    async with Sandbox(path="/photos/") as box, GalleryClient(box.url) as client:
        await client.upload(JPEG, name="a.jpg")
        shown = await client.page(box.gallery.photos[1].path)
    assert (shown.content_type, shown.text.encode("latin-1")) == ("image/jpeg", JPEG)


async def test_what_is_not_there_is_not_found() -> None:
    async with Sandbox() as box, GalleryClient(box.url) as client:
        assert (await client.page("upload/nothing.jpg")).status == 404
