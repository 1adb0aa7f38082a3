"""The files in an archive: a zip, its unpacked folder, or a single file. Nothing outside of it is read.

A zip that unpacks to far more than its own size is refused by the sizes in its table of contents, before it is
unpacked: a few bytes may unpack to more than fits on any disk. In a folder, links are skipped: they can lead anywhere.
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

from flowdock_server.transfer import InvalidArchive

MAX_FILES = 200_000
MAX_TABLE_OF_CONTENTS = 32 * 1024 * 1024  # bytes of a zip's, which zipfile reads at once
MAX_RATIO = 200  # unpacked bytes for each packed byte; text in an archive has about 10
ALWAYS_ALLOWED = 64 * 1024 * 1024  # unpacked bytes, whatever the ratio
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_IS_ENCRYPTED = 0x1


class ArchiveFiles:
    """The names of the files in an archive, and their content. `links` counts the links that were skipped."""

    def __init__(self, names: list[str], open_: Callable[[str], IO[bytes]], links: int = 0) -> None:
        self.names = names
        self.open = open_
        self.links = links
        self._by_name: dict[str, list[str]] = {}
        for name in names:
            self._by_name.setdefault(PurePosixPath(name).name, []).append(name)

    def find(self, name: str) -> str | None:
        """The first file that is called `name`, in any folder."""
        return next(iter(self._by_name.get(name, [])), None)

    def find_attachment(self, file_name: str, path: str) -> str | None:
        """The file of an attachment: one that ends with the last two parts of `path`, else the only `file_name`."""
        candidates = self._by_name.get(file_name, [])
        tail = "/".join(unquote(path).split("/")[-2:])
        for candidate in candidates:
            if tail and candidate.endswith(tail):
                return candidate
        return candidates[0] if len(candidates) == 1 else None


@contextmanager
def open_archive(path: Path, *, single_file_name: str) -> Iterator[ArchiveFiles]:
    """The files at `path`. A file that is not a zip is the only one, called `single_file_name`.

    Raises InvalidArchive, also while the files are read.
    """
    if path.is_dir():
        yield _folder_files(path)
    elif zipfile.is_zipfile(path):
        with path.open("rb") as file, _damage_is_invalid(), zipfile.ZipFile(_LimitedReads(file)) as archive:
            yield _zip_files(archive, path.stat().st_size)
    else:
        yield ArchiveFiles([single_file_name], lambda name: path.open("rb"))


def _folder_files(root: Path) -> ArchiveFiles:
    names: list[str] = []
    links = 0
    for folder, folders, files in os.walk(root, followlinks=False):
        folders.sort()
        links += sum(1 for name in folders if os.path.islink(os.path.join(folder, name)))
        for name in sorted(files):
            path = os.path.join(folder, name)
            if _is_plain_file(os.lstat(path)):
                names.append(os.path.relpath(path, root))
            else:
                links += 1
        if len(names) > MAX_FILES:
            raise InvalidArchive(f"the folder has more than {MAX_FILES} files")

    def open_(name: str) -> IO[bytes]:
        # Checked again, since it may have become a link after it was listed.
        file = os.fdopen(os.open(root / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb")
        if not _is_plain_file(os.fstat(file.fileno())):
            file.close()
            raise InvalidArchive(f"{name} became a link while the folder was read. Links can point outside the folder")
        return file

    return ArchiveFiles(names, open_, links)


def _is_plain_file(found: os.stat_result) -> bool:
    """Whether it is a regular file with this name only: not a symbolic or hard link, and not a pipe."""
    return stat.S_ISREG(found.st_mode) and found.st_nlink == 1


def _zip_files(archive: zipfile.ZipFile, size: int) -> ArchiveFiles:
    entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    if len(entries) > MAX_FILES:
        raise InvalidArchive(f"the zip has more than {MAX_FILES} files")
    for entry in entries:
        if entry.compress_type not in _METHODS:
            raise InvalidArchive(f"{entry.filename} has a compression method that archives do not use")
        if entry.flag_bits & _IS_ENCRYPTED:
            raise InvalidArchive(f"{entry.filename} is encrypted")
    unpacked = sum(entry.file_size for entry in entries)
    # The sum counts, since the files of a zip may share packed bytes.
    if unpacked > max(ALWAYS_ALLOWED, size * MAX_RATIO):
        raise InvalidArchive(f"the zip unpacks to {unpacked} bytes, more than {MAX_RATIO} times its size")
    # zipfile reads no more of a file than the size in the table of contents, even if more is packed.
    return ArchiveFiles([entry.filename for entry in entries], archive.open)


@contextmanager
def _damage_is_invalid() -> Iterator[None]:
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise InvalidArchive(f"the zip is damaged: {error}") from error


class _LimitedReads:
    """A file that refuses to read more than MAX_TABLE_OF_CONTENTS at once, as zipfile reads the table of contents."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def read(self, size: int = -1) -> bytes:
        if size < 0:
            size = os.fstat(self._file.fileno()).st_size - self._file.tell()
        if size > MAX_TABLE_OF_CONTENTS:
            raise InvalidArchive(f"the zip's table of contents is larger than {MAX_TABLE_OF_CONTENTS} bytes")
        return self._file.read(size)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)
