"""Memory that was used for a large body is given back to the system."""

from __future__ import annotations

import ctypes
import platform

M_MMAP_THRESHOLD = -3  # malloc.h
LARGE = 1024 * 1024  # bytes


def return_large_blocks() -> None:
    """Have glibc map large blocks one by one, so that each goes back when it is freed.

    By itself, glibc learns from the first large block that is freed to take the next ones from its heaps, one for each
    thread, which only shrink at their ends (mallopt(3), "dynamic mmap threshold"). Other C libraries are left alone.
    """
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, LARGE)
