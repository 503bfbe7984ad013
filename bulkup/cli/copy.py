"""The command `from-piwigo`, which copies photos from another gallery."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, ClassVar

from cyclopts import Parameter

from bulkup.app.settings import Account
from bulkup.cli.command import command
from bulkup.cli.common import account_of, run_task
from bulkup.cli.flags import GalleryFlags, RetryFlags, flag, flags
from bulkup.cli.help import COMMANDS
from bulkup.cli.output_flags import OutputFlags
from bulkup.cli.upload_flags import AfterFlags, AlbumFlags, UploadFlags
from bulkup.errors import UsageError


class SourceGallery(GalleryFlags):
    """The gallery to copy from, with flags of its own for the account."""

    prefix: ClassVar = "from-"


@flags("Source")
@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFlags:
    """The album to copy, and the account in its gallery."""

    from_album: Annotated[
        int | None,
        flag("Number of the album to copy. Default: the whole gallery, which needs --tree."),
    ] = None
    ignore_md5: Annotated[
        bool,
        flag(
            "Ignore the MD5s that the other gallery has recorded, and download each photo to "
            "recognize it; for galleries that make photos smaller on arrival."
        ),
    ] = False
    no_arrange: Annotated[
        bool, flag("Leave the order and the covers of albums in the target as they are.")
    ] = False
    from_user: Annotated[
        str | None, flag("Administrator of the other gallery to log in as.", metavar="USER")
    ] = None
    from_password_file: Annotated[
        Path | None,
        flag(
            "File whose first line is that user's password. Default: BULKUP_FROM_PASSWORD, the "
            "profile, the key ring, or a prompt.",
            metavar="FILE",
        ),
    ] = None
    from_password_command: Annotated[
        str | None, flag("Command that prints that password.", metavar="COMMAND")
    ] = None
    from_api_key_file: Annotated[
        Path | None,
        flag(
            "File with an API key of the other gallery, used instead of user and password. "
            "Default: BULKUP_FROM_API_KEY.",
            metavar="FILE",
        ),
    ] = None

    def account(self, url: str, gallery: GalleryFlags) -> Account:
        """Return the account of the other gallery. Raises `UsageError`.

        Certificates to trust and the proxy are those of the target.
        """
        return account_of(
            SourceGallery(
                profile=gallery.profile,
                config=gallery.config,
                url=url,
                user=self.from_user,
                ca_cert=gallery.ca_cert,
                insecure=gallery.insecure,
                proxy=gallery.proxy,
                password_file=self.from_password_file,
                password_command=self.from_password_command,
                api_key_file=self.from_api_key_file,
            )
        )


@command
def from_piwigo(
    source_url: Annotated[str, Parameter(help="Address of the gallery to copy from.")],
    /,
    *,
    gallery: GalleryFlags = GalleryFlags(),
    source: SourceFlags = SourceFlags(),
    albums: AlbumFlags = AlbumFlags(),
    upload: UploadFlags = UploadFlags(),
    output: OutputFlags = OutputFlags(),
    retry: RetryFlags = RetryFlags(),
) -> int:
    """Copy photos from another gallery."""
    options = output.options()
    for name, given in (
        ("--update", upload.update),
        ("--raw-as-format", upload.raw_as_format),
        ("--convert", upload.convert),
        ("--ledger", retry.ledger),
        ("--no-ledger", retry.no_ledger),
    ):
        if given:
            hint = COMMANDS["from-piwigo"].unusable[name]
            raise UsageError(f"{name} does not work with bulkup from-piwigo", hint=hint)
    settings = upload.settings(albums, retry, AfterFlags())
    account = account_of(gallery)
    other = source.account(source_url, gallery)

    from bulkup.app.copy import copy_photos

    task = partial(
        copy_photos,
        source=other,
        from_album=source.from_album,
        arrange=not source.no_arrange,
        ignore_md5=source.ignore_md5,
        account=account,
        settings=settings,
    )
    return run_task(task, options)
