"""The command `from-piwigo`, which copies photos from another gallery."""

import os
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from bulkup.app.credentials import ask_password, find, read_password
from bulkup.app.settings import Account, require
from bulkup.cli.command import command
from bulkup.cli.common import account_of, run_task
from bulkup.cli.flags import GalleryFlags, RetryFlags, flag, flags
from bulkup.cli.help import COMMANDS
from bulkup.cli.output_flags import OutputFlags
from bulkup.cli.upload_flags import AfterFlags, AlbumFlags, UploadFlags
from bulkup.errors import UsageError, check_range


@flags("Source")
@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFlags:
    """The album to copy, and the account in its gallery."""

    from_album: Annotated[
        int | None,
        flag("Number of the album to copy. Default: the whole gallery, which needs --tree."),
    ] = None
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
            "key ring, or a prompt.",
            metavar="FILE",
        ),
    ] = None
    from_password_command: Annotated[
        str | None, flag("Command that prints that password.", metavar="COMMAND")
    ] = None

    def account(self, url: str, target: Account) -> Account:
        """Return the account of the other gallery, without the target's secrets.

        Certificates to trust and the proxy are the same for both. Raises `UsageError`.
        """
        from bulkup.app.gallery import checked_url

        account = Account(
            url=url,
            user=require(
                self.from_user,
                flag="--from-user",
                variable="BULKUP_FROM_USER",
                what="the user of the other gallery",
            ),
            ca_cert=target.ca_cert,
            insecure=target.insecure,
            proxy=target.proxy,
        )
        place = checked_url(account)
        password = (
            read_password(
                file=self.from_password_file,
                command=self.from_password_command,
                variables=os.environ,
                flag="--from-password",
            )
            or find(place, account.user)
            or ask_password(f"Password of {account.user} at {place}")
        )
        if not password:
            raise UsageError(
                "the password of the other gallery is missing",
                hint="Set BULKUP_FROM_PASSWORD, give --from-password-file or "
                "--from-password-command, or store it with bulkup login.",
            )
        return replace(account, password=password)


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
    settings = replace(upload.settings(albums, retry, AfterFlags(cover="none")), ledger=None)
    if source.from_album is not None:
        check_range("--from-album", source.from_album, least=1, most=2**31 - 1)
    elif not settings.into.tree:
        raise UsageError(
            "the album to copy is missing",
            hint="Give its number with --from-album N, or --tree for the whole gallery.",
        )
    account = account_of(gallery)
    other = source.account(source_url, account)

    from bulkup.app.copy import copy_photos

    task = partial(
        copy_photos,
        source=other,
        from_album=source.from_album,
        arrange=not source.no_arrange,
        account=account,
        settings=settings,
    )
    return run_task(task, options)
