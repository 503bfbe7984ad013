"""The commands: group, help text, examples and module of each."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from inspect import cleandoc
from typing import Final


@dataclass(frozen=True, slots=True)
class CommandHelp:
    """What `--help` shows for a command, and the module that defines it.

    `examples` are command lines, each with a remark. `unusable` are flags that do not work with
    the command, though it shares their group with others, and what to use instead.
    """

    module: str
    group: str
    help: str
    examples: tuple[tuple[str, str], ...]
    unusable: Mapping[str, str] = field(default_factory=dict)

    @property
    def epilogue(self) -> str:
        """The examples as shown below the flags."""
        width = max(len(line) for line, _ in self.examples)
        lines = [f"    {line:<{width}}  # {remark}" for line, remark in self.examples]
        return "\n".join(["Examples:", "", *lines])


GROUPS: Final = ("Photos", "Gallery and history", "Setup", "Testing")

COMMANDS: Final = {
    "upload": CommandHelp(
        "upload",
        "Photos",
        """Upload folders and photos to albums of a Piwigo gallery.

        The command name is optional: bulkup PATH… --album N.

        Titles, descriptions, dates and tags are read from the photos, from XMP sidecars and
        Google Takeout JSON next to them, and from flags.

        Photos that are already in the gallery are not sent again. Run the same command again to
        continue after an interruption.

        Exit codes: 0 every photo is in its album, 1 some photos failed, or --after could not
        move some files, 2 wrong usage, 3 the run could not start or continue, 130 interrupted.
        """,
        (
            ("bulkup ./photos --album 9", "to album 9"),
            ("bulkup ./photos --album Trips/2019 --create-albums", "create it if missing"),
            ("bulkup ./archive --tree", "folders become albums"),
            ("bulkup ./photos --album 9 --dry-run -v", "show what it would do"),
            ("bulkup ./photos --profile museum", "with a profile"),
        ),
    ),
    "verify": CommandHelp(
        "upload",
        "Photos",
        """Compare folders and photos with the gallery; sends and changes nothing.

        Reports for each photo whether it is in the gallery, is shown in its album, and is
        stored unchanged. The next upload sends what is missing.

        Exit codes: 0 every photo is in place, 1 some are not, 2 wrong usage, 3 the run could
        not start or continue, 130 interrupted.
        """,
        (
            ("bulkup verify ./photos --album 9", "is everything in album 9?"),
            ("bulkup verify ./photos --quick", "anywhere, by recorded MD5s"),
            ("bulkup verify ./photos --tree --sort name", "and in this order?"),
        ),
    ),
    "refresh": CommandHelp(
        "upload",
        "Photos",
        """Bring titles, descriptions, authors, dates and tags of photos in the gallery to what
        their sources say now: the photos, sidecars, tables, exports and flags. Sends no photos.

        Values that were edited in the gallery stay, and are counted as kept. bulkup knows what
        it set itself; where it does not, it only fills what is empty. --dry-run -v shows what
        would change, and what would be kept.

        Exit codes: 0 every photo is as its sources say, or was edited in the gallery, 1 some
        photos are missing or failed, 2 wrong usage, 3 the run could not start or continue, 130
        interrupted.
        """,
        (
            ("bulkup refresh ./photos --dry-run -v", "show what would change"),
            ("bulkup refresh ./photos --album 9", "update photos in album 9"),
            ("bulkup refresh ./photos --overwrite", "… also edited values"),
        ),
    ),
    "watch": CommandHelp(
        "upload",
        "Photos",
        """Upload the photos in folders, then new ones as they arrive, until Ctrl-C.

        A file is uploaded once it has stopped changing. Files that arrive together form one
        run, as with bulkup upload; files that arrive during a run wait for the next. If the
        server is unreachable, bulkup waits for it.

        Exit codes: 130 ended by Ctrl-C or SIGTERM (the usual end), 1 ended by --max-errors,
        2 wrong usage, 3 bulkup could not start or continue watching.
        """,
        (
            ("bulkup watch ./inbox --album 9", "existing and new files"),
            ("bulkup watch ./inbox --album 9 --after trash", "… then trash the files"),
        ),
        unusable={
            "--report": "Use --log-file FILE.jsonl, which records every run.",
            "--dry-run": "Use bulkup upload --dry-run on the existing files.",
            "--files-from": "Select files with --include and --exclude.",
            "--from0": "Select files with --include and --exclude.",
        },
    ),
    "from-piwigo": CommandHelp(
        "copy",
        "Photos",
        """Copy photos, with albums and metadata, from another Piwigo gallery.

        Lists the photos of the album --from-album, with --tree also those of the albums inside
        it, and uploads their originals to --album. Each is downloaded to the temporary folder
        just before it is sent, compared with the MD5 that its gallery has recorded, and deleted
        afterwards. Photos that the target has are not downloaded: run the same command again to
        continue after an interruption.

        Log in to the other gallery as an administrator, with --from-user and the password in
        BULKUP_FROM_PASSWORD.

        Exit codes: 0 every photo is in its album, 1 some photos failed, 2 wrong usage, 3 the run
        could not start or continue, 130 interrupted.
        """,
        (
            ("bulkup from-piwigo old.example.org --from-album 4 -a 9", "one album"),
            ("bulkup from-piwigo old.example.org --tree", "the whole gallery"),
        ),
        unusable={
            "--update": "Delete the photo in the target, then run the same command again.",
            "--raw-as-format": "Formats are copied as they are.",
            "--convert": "Configure the target to accept the types of the other gallery.",
            "--ledger": "The target is asked for every photo.",
            "--no-ledger": "There is never a ledger.",
        },
    ),
    "gui": CommandHelp(
        "gui",
        "Photos",
        """Lead through a migration in a browser: gallery, check-up, photos, albums, options,
        rehearsal, upload, report. Each page shows the command that does the same.

        The pages are served on this machine alone, to the browser that opens the printed address
        first. The upload goes on when the browser is closed; Ctrl-C ends it gracefully. What was
        chosen is kept, passwords are not.

        Requires bulkup[gui]. Exit codes: 0 ended by Ctrl-C, 2 wrong usage.
        """,
        (("bulkup gui", "opens a browser"), ("bulkup gui --no-browser", "prints the address")),
    ),
    "albums": CommandHelp(
        "gallery",
        "Gallery and history",
        "Print the gallery's albums as a tree, with numbers and photo counts.",
        (("bulkup albums --url https://photos.example.org", "the numbers for --album"),),
    ),
    "doctor": CommandHelp(
        "gallery",
        "Gallery and history",
        """Check the gallery and this machine before a migration. Only --fill-md5 changes anything.

        Each line starts with ✓ (fine), ! (worth knowing) or ✗ (a problem), and says what to do.
        With paths, also reports what an upload of them would involve.

        Exit codes: 0 no problem found, 1 at least one, 2 wrong usage, 130 interrupted.
        """,
        (
            ("bulkup doctor", "check the gallery"),
            ("bulkup doctor ./photos --album 9", "… and the files to upload"),
            ("bulkup doctor --fill-md5", "… and have it compute missing MD5s"),
        ),
    ),
    "status": CommandHelp(
        "gallery",
        "Gallery and history",
        """Show past runs from the ledger, without contacting any gallery.

        For each gallery and album: what has been uploaded, the last run of each kind, and the
        open failures with their reasons and remedies. A failure is open until the file is
        uploaded or deleted.

        To retry what failed, run the same upload again: it skips what the gallery has. After an
        upload into one album, this retries only what failed:
        bulkup status --failed -0 | bulkup --files-from - --album N

        Exit codes: 0 shown (even with open failures), 2 wrong usage or no ledger, 3 the ledger
        can't be read.
        """,
        (
            ("bulkup status", "results of earlier runs"),
            ("bulkup status --failed", "paths of failed files"),
        ),
    ),
    "login": CommandHelp(
        "setup",
        "Setup",
        """Store a password or an API key in the system's key ring, after logging in with it.

        Reads it from the terminal or from standard input. It is used when no flag, environment
        variable or profile names one. An API key needs no --user.

        Exit codes: 0 stored, 2 wrong usage, 3 the gallery refuses it, or the key ring can't
        store it.
        """,
        (
            ("bulkup login --url https://photos.example.org --user admin", "prompts for it"),
            ("bulkup login --profile museum", "for a profile"),
        ),
    ),
    "logout": CommandHelp(
        "setup",
        "Setup",
        """Remove the password and the API key that bulkup login stored in the system's key ring.

        Exit codes: 0 nothing is stored now, 2 wrong usage, 3 the key ring can't be used.
        """,
        (("bulkup logout --profile museum", "for a profile's gallery"),),
    ),
    "config": CommandHelp(
        "setup",
        "Setup",
        "Print the value of every upload flag and where it comes from; secrets are masked.",
        (
            ("bulkup config --profile museum", "with the settings of a profile"),
            ("bulkup config --path", "location of the config file"),
        ),
    ),
    "completion": CommandHelp(
        "setup",
        "Setup",
        "Print a shell completion script for commands and flags.",
        (
            ("bulkup completion --install", "install it for this shell"),
            ("bulkup completion zsh", "print it"),
        ),
    ),
    "sandbox": CommandHelp(
        "sandbox",
        "Testing",
        """Run a simulated Piwigo server, to try bulkup without a gallery.

        Log in as user admin, password secret. The gallery has one album, number 1.
        """,
        (
            ("bulkup sandbox --port 8081", "at http://127.0.0.1:8081/"),
            ("bulkup sandbox --workers 5 --finish-time 0.4", "as slow as a small host"),
        ),
    ),
    "demo": CommandHelp(
        "sandbox",
        "Testing",
        "Upload photos to a sandbox server on this machine, and verify every one.",
        (
            ("bulkup demo", "with generated pictures"),
            ("bulkup demo ./photos --keep", "with your own photos; keep the server running"),
        ),
    ),
}


def unwrap(text: str) -> str:
    """Return a help text with each paragraph on one line, for the terminal to wrap."""
    return re.sub(r"(?<!\n)\n(?!\n)", " ", cleandoc(text)).strip()
