"""How much memory this process really has: the kernel's own count, anonymous and mapped pages alike.

Linux only, where the peak can be set back to the present: `VmHWM` of /proc/self/status after "5" into clear_refs.
`resource.getrusage` would not do, because a child begins with the peak of its parent.
"""

from __future__ import annotations

import struct
import sys
from pathlib import Path

IS_MEASURABLE = sys.platform.startswith("linux") and Path("/proc/self/clear_refs").exists()
PAGE = 4096
_PRESENT = 1 << 63  # bit of a pagemap entry: this process has the page


def forget_peak() -> None:
    """From now on the peak counts from what there is."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def peak_bytes() -> int:
    """Most resident memory since `forget_peak`: anonymous, file-backed and shared pages together."""
    return _status("VmHWM")


def resident_bytes() -> int:
    return _status("VmRSS")


def present_pages(address: int, size: int) -> list[int]:
    """Numbers of those whole pages between address and address + size that this process holds now."""
    first, last = -(-address // PAGE), (address + size) // PAGE
    if last <= first:
        return []
    with open("/proc/self/pagemap", "rb") as stream:
        stream.seek(first * 8)
        entries = struct.unpack(f"<{last - first}Q", stream.read((last - first) * 8))
    return [number for number, entry in enumerate(entries) if entry & _PRESENT]


def _status(field: str) -> int:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"/proc/self/status says nothing of {field}")
