"""Delivers one notification, as a process: `python -m bulkup.output._notify_process`.

Reads a JSON object from standard input, since addresses hold secrets, and prints nothing.
"""

import json
import sys


def main() -> int:
    """Deliver what stdin holds."""
    import apprise  # noqa: PLC0415 (an extra)

    given = json.load(sys.stdin)
    sender = apprise.Apprise(asset=apprise.AppriseAsset(app_id="bulkup", secure_logging=True))
    if not sender.add(given["address"]):
        return 1
    taken = sender.notify(
        given["message"],
        title=given["title"],
        notify_type=given["grade"],
        body_format=apprise.NotifyFormat.TEXT,
    )
    return 0 if taken else 1


if __name__ == "__main__":
    sys.exit(main())
