"""The loop of the description of the package piwigo2: photo after photo, each in one call.

Arguments: address, album; the names of the files come on standard input.
"""

import os
import sys

from piwigo import Piwigo


def upload(url: str, album: str, names: list[str]) -> None:
    """Log in, send each file by `pwg.images.addSimple`, one after the other, log out."""
    gallery = Piwigo(url)
    gallery.pwg.session.login(username="admin", password="secret")
    for name in names:
        gallery.pwg.images.addSimple(image=name, category=int(album))
    gallery.pwg.session.logout()


if __name__ == "__main__":
    upload(sys.argv[1], sys.argv[2], os.fsdecode(sys.stdin.buffer.read()).split("\0")[:-1])
