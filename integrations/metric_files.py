"""Files in which the processes of a machine count together: the multiprocess mode of prometheus_client.

Each process that counts takes a free number by locking a file, and adds to the counts of the process that had this
number before. The lock ends with the process, even if it is killed. So a counter never falls while processes come and
go, there are no more files than processes at the same time, and nothing has to be cleaned up.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import math
import os
import struct
import threading
from pathlib import Path
from typing import Any

from django.conf import settings
from prometheus_client import CollectorRegistry, values
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector

logger = logging.getLogger(__name__)

KINDS = ("counter", "histogram")
MAX_PROCESSES = 1000
# Reserved on the disk. Writing to a mapped page for which the disk has no room would kill the process.
FILE_BYTES = 256 * 1024


class NotShared(Exception):
    """The process cannot use the files."""


class Number:
    """The number of this process, locked for as long as it lives."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._owner = 0  # the process that has taken the number: after a fork, the child takes another
        self._number = 0
        self._file = -1

    def __call__(self) -> int:
        """Raises NotShared, but only at the first call in a process."""
        if self._owner != os.getpid():
            with self._lock:
                if self._owner != os.getpid():
                    self._take()
        return self._number

    def _take(self) -> None:
        try:
            folder().mkdir(mode=0o700, parents=True, exist_ok=True)
            number, file = _locked()
            for kind in KINDS:
                _prepare(folder() / f"{kind}_{number}.db")
        except OSError as error:
            raise NotShared(f"{error.strerror or error}: {folder()}") from error
        if self._file >= 0:
            os.close(self._file)  # a copy of the parent's, whose lock stays
        self._owner, self._number, self._file = os.getpid(), number, file


_number = Number()


def folder() -> Path:
    return Path(settings.DATA_DIR) / "metrics"


def share() -> None:
    """Let metrics that are created from now on count in the files; in memory, if the files cannot be used."""
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder())
    kind: Any = values
    try:
        kind.ValueClass = kind.MultiProcessValue(_number)
    except NotShared as error:
        logger.warning("the metrics of this process are not collected: %s", error)
        kind.ValueClass = kind.MutexValue


def collect(registry: CollectorRegistry) -> None:
    """Register the sums of the counts of all processes, without files that cannot be read."""
    folder().mkdir(mode=0o700, parents=True, exist_ok=True)
    registry.register(_ReadableFiles(None, path=str(folder())))  # type: ignore[no-untyped-call]


class _ReadableFiles(MultiProcessCollector):
    def collect(self) -> Any:
        files = [str(path) for path in sorted(folder().glob("*.db")) if _is_readable(path)]
        return self.merge(files)  # type: ignore[no-untyped-call]


def _locked() -> tuple[int, int]:
    """A free number, and the open file that locks it."""
    for number in range(1, MAX_PROCESSES + 1):
        try:
            file = os.open(folder() / f"{number}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660)
        except PermissionError:
            continue  # another user's
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            continue
        return number, file
    raise OSError(f"{MAX_PROCESSES} processes count already")


def _prepare(path: Path) -> None:
    """Reserve room for the file, and delete what cannot be read, as after a power failure."""
    if path.exists() and not _is_readable(path):
        path.unlink()
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660)
    try:
        if os.fstat(file).st_size < FILE_BYTES:
            with contextlib.suppress(AttributeError):  # not on macOS
                os.posix_fallocate(file, 0, FILE_BYTES)
    finally:
        os.close(file)


def _is_readable(path: Path) -> bool:
    try:
        for key, value, *_ in MmapedDict.read_all_values_from_file(str(path)):  # type: ignore[no-untyped-call]
            if not isinstance(json.loads(key), list) or math.isnan(value):
                raise ValueError("not a metric")
    except (OSError, RuntimeError, ValueError, struct.error) as error:
        logger.warning("metrics in %s cannot be read: %s", path, error)
        return False
    return True
