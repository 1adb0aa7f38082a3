"""The files in an archive: a zip, its unpacked folder, or one file by itself. Nothing outside of it is read.

A zip says how large its files are before they are unpacked, and one that says too much is refused: what is packed into
few bytes may unpack to more than any disk has. In a folder, links are left out: they lead anywhere.
"""

from __future__ import annotations

import os
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any
from urllib.parse import unquote

from flowdock_server.transfer import Unfit

MAX_FILES = 200_000
MAX_DIRECTORY = 32 * 1024 * 1024  # bytes of a zip's table of contents, which is read at once
MAX_RATIO = 200  # unpacked bytes for a packed one; text in an archive has about 10
ALWAYS_FITS = 64 * 1024 * 1024  # unpacked bytes that are never too many
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_IS_ENCRYPTED = 0x1


class Files:
    """The names of files, and their contents. `links` counts what was left out, since it leads elsewhere."""

    def __init__(self, names: list[str], open_: Callable[[str], IO[bytes]], links: int = 0) -> None:
        self.names = names
        self.open = open_
        self.links = links
        self._by_name: dict[str, list[str]] = {}
        for name in names:
            self._by_name.setdefault(PurePosixPath(name).name, []).append(name)

    def named(self, name: str) -> str | None:
        """The first file that is called `name`, in whatever folder."""
        return next(iter(self._by_name.get(name, [])), None)

    def of(self, file_name: str, path: str) -> str | None:
        """Where the file of an attachment lies: a name that ends as its path does, else the only one of its name."""
        candidates = self._by_name.get(file_name, [])
        tail = "/".join(unquote(path).split("/")[-2:])
        for candidate in candidates:
            if tail and candidate.endswith(tail):
                return candidate
        return candidates[0] if len(candidates) == 1 else None


@contextmanager
def opened(path: Path, *, alone_as: str) -> Iterator[Files]:
    """The files at `path`; one that is no archive is called `alone_as`. Raises Unfit, also while they are read."""
    if path.is_dir():
        yield _folder(path)
    elif zipfile.is_zipfile(path):
        with path.open("rb") as file, _damaged_is_unfit(), zipfile.ZipFile(_Limited(file)) as archive:  # type: ignore[type-var]
            yield _zip(archive, path.stat().st_size)
    else:
        yield Files([alone_as], lambda name: path.open("rb"))


def _folder(root: Path) -> Files:
    names: list[str] = []
    links = 0
    for folder, folders, files in os.walk(root, followlinks=False):
        folders.sort()
        links += sum(1 for name in folders if os.path.islink(os.path.join(folder, name)))
        for name in sorted(files):
            path = os.path.join(folder, name)
            if _is_own(os.lstat(path)):
                names.append(os.path.relpath(path, root))
            else:
                links += 1
        if len(names) > MAX_FILES:
            raise Unfit(f"the folder has more than {MAX_FILES} files")

    def open_(name: str) -> IO[bytes]:
        # Looked at once more, since it may have become a link after it was listed.
        file = os.fdopen(os.open(root / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb")
        if not _is_own(os.fstat(file.fileno())):
            file.close()
            raise Unfit(f"{name} is a link, which may point outside of the folder")
        return file

    return Files(names, open_, links)


def _is_own(found: os.stat_result) -> bool:
    """Whether it is a file that is in this place only: no symbolic link, no hard link, no pipe."""
    return stat.S_ISREG(found.st_mode) and found.st_nlink == 1


def _zip(archive: zipfile.ZipFile, size: int) -> Files:
    entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    if len(entries) > MAX_FILES:
        raise Unfit(f"the zip has more than {MAX_FILES} files")
    for entry in entries:
        if entry.compress_type not in _METHODS:
            raise Unfit(f"{entry.filename} is compressed by a method that is not supported")
        if entry.flag_bits & _IS_ENCRYPTED:
            raise Unfit(f"{entry.filename} is encrypted")
    unpacked = sum(entry.file_size for entry in entries)
    # Of the whole, since files of a zip may share their packed bytes.
    if unpacked > max(ALWAYS_FITS, size * MAX_RATIO):
        raise Unfit(f"the zip unpacks to {unpacked} bytes, which is more than {MAX_RATIO} times its size")
    # zipfile reads no more of a file than its size here says, whatever is packed.
    return Files([entry.filename for entry in entries], archive.open)


@contextmanager
def _damaged_is_unfit() -> Iterator[None]:
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise Unfit(f"the zip is damaged: {error}") from error


class _Limited:
    """A file of which no more than MAX_DIRECTORY is read at once, as zipfile does with the table of contents."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def read(self, size: int = -1) -> bytes:
        if size < 0:
            size = os.fstat(self._file.fileno()).st_size - self._file.tell()
        if size > MAX_DIRECTORY:
            raise Unfit(f"the zip's table of contents is larger than {MAX_DIRECTORY} bytes")
        return self._file.read(size)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)
