"""Gives pages of a mapped checkpoint file back to the system once their numbers have been copied.

A page of a mapped file counts as this process's memory from the first look at it. Without this, a loaded model would
stand in memory twice until its file is closed. Owned by the readers of weight files, who know what they have mapped:
never call it on memory that is not a private mapping of a file, because there the numbers would be gone.
"""

from __future__ import annotations

import ctypes
import mmap
import sys
from functools import lru_cache
from typing import Any

from torch import Tensor

_DONTNEED = 4  # MADV_DONTNEED of Linux: drop the pages, read them again from the file when asked


def let_go(tensor: Tensor) -> None:
    """Drop the whole pages under a contiguous tensor of a mapped file; it can still be read, from the file again.

    Rounded inwards: a page shared with a neighbour stays. Does nothing where the system has no such call.
    """
    madvise = _madvise()
    if madvise is None or not tensor.is_contiguous():
        return
    start, size = tensor.data_ptr(), tensor.numel() * tensor.element_size()
    first = -(-start // mmap.PAGESIZE) * mmap.PAGESIZE
    last = (start + size) // mmap.PAGESIZE * mmap.PAGESIZE
    if first < last:
        madvise(ctypes.c_void_p(first), ctypes.c_size_t(last - first), _DONTNEED)  # its advice may be refused


def let_go_of(mapping: mmap.mmap, start: int, size: int) -> None:
    """The same for bytes start … start + size of a mapping that Python made."""
    if not hasattr(mapping, "madvise") or not sys.platform.startswith("linux"):
        return
    first = -(-start // mmap.PAGESIZE) * mmap.PAGESIZE
    last = (start + size) // mmap.PAGESIZE * mmap.PAGESIZE
    if first < last:
        mapping.madvise(mmap.MADV_DONTNEED, first, last - first)


@lru_cache(maxsize=1)
def _madvise() -> Any:
    """The system's call, None where it means something else or is not there."""
    if not sys.platform.startswith("linux"):
        return None
    return getattr(ctypes.CDLL(None, use_errno=True), "madvise", None)
