"""Deliver one message to one service, as a process: `python -m bulkup.output._notify_process`.

Knows apprise, which is an extra. Reads a JSON object from stdin, since an address holds secrets,
which other users would see among arguments, and exits with 0 if the service took the message.
Python waits at its end for the threads of apprise, however long a service takes; a process can
be ended.
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
