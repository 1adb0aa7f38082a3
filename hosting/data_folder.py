"""The folder of databases, files and mails: its owner's alone."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path


def own(folder: Path, *, with_group: bool = False) -> None:
    """Make the folder where it is missing, and take what others may do with it and in it from them.

    What this process makes from here on is the owner's alone as well; `with_group`, also the group's. The folders and
    files that lie in it directly are tightened too. What belongs to somebody else is left as it is.
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
        is_shared_place = mode & stat.S_ISVTX  # such as /tmp, which is not ours to close
        if stat.S_ISLNK(found.st_mode) or is_shared_place or found.st_uid != os.geteuid():
            return
        wanted = mode & ~(0o007 if with_group else 0o077)
        if with_group and stat.S_ISDIR(found.st_mode):
            wanted |= 0o2070  # what is made in it belongs to the same group
        elif with_group:
            wanted |= 0o060
        if wanted != mode:
            path.chmod(wanted)
