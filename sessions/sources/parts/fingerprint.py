"""SHA-256 of a source file, streamed, so that a record can name exactly the file it was made from.

Called by the source's own thread. Never reads a huge file unasked: above the limit it says so instead.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from jepa_core.errors import Cancelled
from jepa_core.types import JSON

LARGEST_BYTES = (
    2 * 1024**3
)  # about 2-5 s of hashing; above it a person would wait too long for the first picture
_BLOCK = 4 * 1024**2


def fingerprint(path: Path, is_closing: Callable[[], bool], largest: int = LARGEST_BYTES) -> dict[str, JSON]:
    """{"bytes": …, "sha256": 64 hex digits}, or an empty sha256 with a note that says why. Raises Cancelled."""
    size = path.stat().st_size
    if size > largest:
        note = f"not computed on opening: the file is larger than {largest // 1024**2} MiB"
        return {"bytes": size, "sha256": "", "sha256_note": note}
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            if is_closing():
                raise Cancelled
            digest.update(block)
    return {"bytes": size, "sha256": digest.hexdigest()}
