"""The folder of databases, files and mails, which only its owner can access."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path


def own(folder: Path, *, with_group: bool = False) -> None:
    """Create the folder if it does not exist, and remove the permissions of others.

    Files that this process creates from now on are also accessible only to the owner or, `with_group`, to the owner and
    the group. The files and folders directly in it get the same permissions, unless they belong to somebody else.
    """
    os.umask(0o007 if with_group else 0o077)
    folder.mkdir(parents=True, exist_ok=True)
    tighten(folder, with_group=with_group)
    for path in folder.iterdir():
        tighten(path, with_group=with_group)


def tighten(path: Path, *, with_group: bool = False) -> None:
    with contextlib.suppress(FileNotFoundError):  # SQLite removes its files when the last connection closes
        found = path.lstat()
        mode = stat.S_IMODE(found.st_mode)
        is_shared = mode & stat.S_ISVTX  # such as /tmp
        if stat.S_ISLNK(found.st_mode) or is_shared or found.st_uid != os.geteuid():
            return
        wanted = mode & ~(0o007 if with_group else 0o077)
        if with_group and stat.S_ISDIR(found.st_mode):
            wanted |= 0o2070  # new files in it belong to the same group
        elif with_group:
            wanted |= 0o060
        if wanted != mode:
            path.chmod(wanted)
