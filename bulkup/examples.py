"""What the help of each command ends with: command lines to begin with.

Knows nothing; a test runs every one of them through the command line.
"""

from typing import Final

_LINES: Final = {
    "upload": (
        ("bulkup ./photos --album 9", "into album 9"),
        ("bulkup ./photos --album Trips/2019 --create-albums", "made if missing"),
        ("bulkup ./archive --tree", "folders become albums"),
        ("bulkup ./photos --album 9 --dry-run -v", "what would happen"),
        ("bulkup ./photos --profile museum", "as a profile says"),
    ),
    "verify": (
        ("bulkup verify ./photos --album 9", "is it all in album 9?"),
        ("bulkup verify ./photos --quick", "anywhere in the gallery, by its own sums"),
    ),
    "watch": (
        ("bulkup watch ./inbox --album 9", "what lies there, and arrives"),
        ("bulkup watch ./inbox --album 9 --after trash", "… and then trash the files"),
    ),
    "albums": (("bulkup albums --url https://photos.example.org", "the numbers for --album"),),
    "doctor": (
        ("bulkup doctor", "look at the gallery"),
        ("bulkup doctor ./photos --album 9", "… and at what is to be uploaded"),
    ),
    "status": (
        ("bulkup status", "what came of earlier runs, by the ledger"),
        ("bulkup status --failed", "the paths that have failed"),
    ),
    "login": (
        ("bulkup login --url https://photos.example.org --user admin", "asks for it"),
        ("bulkup login --profile museum", "of a profile"),
    ),
    "logout": (("bulkup logout --profile museum", "the gallery of a profile"),),
    "config": (
        ("bulkup config --profile museum", "what a profile comes to"),
        ("bulkup config --path", "where the settings file lies"),
    ),
    "completion": (
        ("bulkup completion --install", "for this shell, for good"),
        ("bulkup completion zsh", "print it, to put it somewhere"),
    ),
    "sandbox": (
        ("bulkup sandbox --port 8081", "at http://127.0.0.1:8081/"),
        ("bulkup sandbox --workers 5 --finish-time 0.4", "as slow as a small host"),
    ),
    "demo": (
        ("bulkup demo", "with made pictures"),
        ("bulkup demo ./photos --keep", "with your own, and look at the gallery"),
    ),
}


def _text(lines: tuple[tuple[str, str], ...]) -> str:
    width = max(len(command) for command, _ in lines)
    shown = "\n".join(f"    {command:<{width}}  # {remark}" for command, remark in lines)
    return f"Examples:\n\n{shown}"


COMMANDS: Final = {name: [command for command, _ in lines] for name, lines in _LINES.items()}
EXAMPLES: Final = {name: _text(lines) for name, lines in _LINES.items()}
