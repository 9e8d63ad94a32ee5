"""Numbers as people read them: grouped digits, ages, sizes, clock times. Plain functions, no Qt."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

NO_BREAK = "\N{NO-BREAK SPACE}"
NONE = "–"
BREAK = "\N{ZERO WIDTH SPACE}"  # where a line may end without a space
LONG_WORD = 16  # letters; a shorter word never needs to be broken


def grouped(number: int) -> str:
    """243118 → "243 118", with spaces that do not break."""
    return f"{number:,}".replace(",", NO_BREAK)


def frame_range(seqs: Sequence[int]) -> str:
    """(243114, …, 243117) → "243 114–117"; one frame → "243 114"; the common thousands are said once."""
    if not seqs:
        return NONE
    first, last = min(seqs), max(seqs)
    if first == last:
        return grouped(first)
    if first // 1000 == last // 1000 and first >= 1000:
        return f"{grouped(first)}–{last % 1000:03d}"
    return f"{grouped(first)}–{grouped(last)}"


def frame_list(seqs: Sequence[int]) -> str:
    """Frames that need not be neighbours: (2, 7) → "2 and 7"; (2, 7, 12) → "2, 7 and 12"; neighbours as a range."""
    ordered = sorted(seqs)
    if len(ordered) < 2 or ordered[-1] - ordered[0] == len(ordered) - 1:
        return frame_range(ordered)
    if len(ordered) > 4:
        return f"{grouped(ordered[0])} … {grouped(ordered[-1])}"
    return f"{', '.join(grouped(seq) for seq in ordered[:-1])} and {grouped(ordered[-1])}"


def breakable(text: str) -> str:
    """The same words, with places where a long path, name or hash may go on in the next line, and a dot between two
    facts at the end of a line instead of at the beginning of one."""
    text = text.replace(" · ", f"{NO_BREAK}· ")
    return re.sub(rf"\S{{{LONG_WORD + 1},}}", _with_breaks, text)


def unbroken(text: str) -> str:
    """What `breakable` was given."""
    return text.replace(BREAK, "").replace(f"{NO_BREAK}· ", " · ")


def _with_breaks(found: re.Match[str]) -> str:
    """After what separates the parts of a name, and in every part that is still too long."""
    parts = re.findall(r"[^/\\._\-:=&?,]*[/\\._\-:=&?,]+|[^/\\._\-:=&?,]+", found.group())
    pieces = [part[n : n + LONG_WORD] for part in parts for n in range(0, len(part), LONG_WORD)]
    return BREAK.join(pieces)


def plural(count: int, one: str, many: str | None = None) -> str:
    if many is None:
        many = f"{one}es" if one.endswith("s") else f"{one}s"
    return f"{grouped(count)} {one if count == 1 else many}"


def clock(t_ns: int, *, parts: int = 0) -> str:
    """Nanoseconds since an origin as "02:13:41", with `parts` decimals of a second. Negative gets a minus."""
    sign = "−" if t_ns < 0 else ""
    seconds, rest = divmod(abs(t_ns), 1_000_000_000)
    hours, seconds = divmod(seconds, 3600)
    minutes, seconds = divmod(seconds, 60)
    text = f"{sign}{hours:02d}:{minutes:02d}:{seconds:02d}"
    return f"{text}.{str(rest).zfill(9)[:parts]}" if parts else text


def duration(seconds: float) -> str:
    """4.2 → "4.2 s"; 95 → "1 m 35 s"; 147 132 → "40 h 52 m"."""
    if not math.isfinite(seconds) or seconds < 0:
        return NONE
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{int(seconds // 60)} m {int(seconds % 60):02d} s"
    if seconds < 100 * 3600:
        return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60):02d} m"
    return f"{int(seconds // 86400)} d {int(seconds % 86400 // 3600)} h"


def size(n_bytes: float) -> str:
    """9 800 000 000 → "9.8 GB"; decimal units."""
    for unit, factor in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if abs(n_bytes) >= factor:
            return f"{n_bytes / factor:.1f} {unit}"
    return f"{int(n_bytes)} B"


def number(value: float) -> str:
    """A signal value in at most five characters: 0.42, 12.3, 141."""
    if not math.isfinite(value):
        return NONE
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
