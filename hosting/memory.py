"""Returns memory that was used for large bodies to the system."""

from __future__ import annotations

import ctypes
import platform

M_MMAP_THRESHOLD = -3  # malloc.h
LARGE = 1024 * 1024  # bytes


def return_large_blocks() -> None:
    """Make glibc map large blocks separately, so that each is returned to the system when it is freed.

    By default, after the first large block is freed, glibc takes the next ones from its heaps, one for each thread,
    which shrink only at their ends (mallopt(3), "dynamic mmap threshold"). Other C libraries are not changed.
    """
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, LARGE)
