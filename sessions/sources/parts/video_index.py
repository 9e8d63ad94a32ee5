"""The frame index of a video file: our own frame numbers, from its packets, without decoding.

Frame n is the n-th picture in presentation order. Its position is exact in stream ticks, so seeking never goes through
`time × fps`. Files whose packets carry no usable time stamps (raw H.264, VP8 with hidden frames) are indexed by decoding
them once: slower, equally exact.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from jepa_core.errors import Cancelled

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

_HIDDEN_FRAME_CODECS = frozenset(
    {"vp8"}
)  # their invisible reference frames are packets that never become a picture


@dataclass(frozen=True, slots=True)
class VideoIndex:
    """Where every frame of the file is."""

    keys: tuple[
        int, ...
    ]  # frame n → what identifies it in the decoder's output: pts in stream ticks, or n itself
    pts_ns: tuple[int, ...]  # frame n → nanoseconds from the first frame, by the stream's own time base
    entries: tuple[int, ...]  # sorted keys of frames at which decoding can begin
    promised: str  # what the container's header says there should be and is not ("300 frames", "20.0 s"); "" when complete
    is_counted: (
        bool  # True: no usable time stamps, `keys` are plain counts and decoding begins at the start only
    )

    def __len__(self) -> int:
        return len(self.keys)

    def number_at(self, pts_ns: int) -> int:
        """The frame on the screen at this moment: the last one that began at or before it, 0 before the first."""
        return max(0, bisect_right(self.pts_ns, pts_ns) - 1)

    def entries_before(self, key: int) -> tuple[int, ...]:
        """Keys at or before this one where decoding can begin, nearest first."""
        return self.entries[: bisect_right(self.entries, key)][::-1]

    @property
    def is_variable_rate(self) -> bool:
        """True when intervals differ by more than the rounding of a millisecond time base explains."""
        shortest, longest = self.interval_ns
        return longest - shortest > 2_000_000

    @property
    def interval_ns(self) -> tuple[int, int]:
        """Shortest and longest time between neighbours; (0, 0) for a single frame."""
        steps = [b - a for a, b in pairwise(self.pts_ns)]
        return (min(steps), max(steps)) if steps else (0, 0)

    @property
    def fps(self) -> float:
        """Mean rate over the whole file, 0.0 for a single frame."""
        span = self.pts_ns[-1] - self.pts_ns[0] if self.pts_ns else 0
        return (len(self) - 1) * 1e9 / span if span > 0 else 0.0


def index_packets(
    container: InputContainer, stream: VideoStream, is_closing: Callable[[], bool]
) -> VideoIndex | None:
    """Read every packet of the stream, decode none. None: the packets do not say when they are shown.

    Raises Cancelled when closing, and lets PyAV's errors through only when not a single packet could be read.
    """
    from av.error import FFmpegError

    if stream.codec_context.name in _HIDDEN_FRAME_CODECS:
        return None
    shown: list[int] = []
    packets = 0  # those an edit list hides included, because the header counts them too
    entries: list[int] = []
    try:
        for packet in container.demux(stream):
            if is_closing():
                raise Cancelled
            packets += packet.size > 0
            if packet.size == 0 or packet.is_discard:  # the flush packet; frames an edit list cuts away
                continue
            if packet.pts is None:
                return None
            if packet.is_keyframe:
                entries.append(packet.pts)
            if (
                entries and packet.pts >= entries[0]
            ):  # what comes before the first key frame cannot be decoded
                shown.append(packet.pts)
    except FFmpegError:
        if not shown:
            raise
        # The file breaks off in the middle of a packet: what was read so far is there.
    keys = tuple(sorted(shown))
    if any(a == b for a, b in pairwise(keys)):
        return None
    assert stream.time_base is not None
    numerator, denominator = stream.time_base.numerator, stream.time_base.denominator
    last_s = keys[-1] * numerator / denominator if keys else 0.0
    return VideoIndex(
        keys=keys,
        pts_ns=_nanoseconds(keys, numerator, denominator),
        entries=tuple(sorted(entries)),
        promised=_promised(stream, packets, last_s),
        is_counted=False,
    )


def index_by_decoding(
    container: InputContainer, stream: VideoStream, is_closing: Callable[[], bool]
) -> VideoIndex:
    """Decode once and count. Time stamps are kept where every picture has its own, else made from the nominal rate."""
    from av.error import FFmpegError

    pts: list[int | None] = []
    try:
        for packet in container.demux(stream):
            if is_closing():
                raise Cancelled
            pts.extend(frame.pts for frame in packet.decode())
    except FFmpegError:
        if not pts:
            raise
    known = [p for p in pts if p is not None]
    if len(known) == len(pts) and all(a < b for a, b in pairwise(known)):
        assert stream.time_base is not None
        pts_ns = _nanoseconds(tuple(known), stream.time_base.numerator, stream.time_base.denominator)
    else:
        rate = stream.average_rate or stream.guessed_rate or 25  # 25: what raw streams are taken to be
        ticks = tuple(range(len(pts)))
        pts_ns = tuple(t * 1_000_000_000 * rate.denominator // rate.numerator for t in ticks)
    return VideoIndex(keys=tuple(range(len(pts))), pts_ns=pts_ns, entries=(0,), promised="", is_counted=True)


def _nanoseconds(pts: tuple[int, ...], numerator: int, denominator: int) -> tuple[int, ...]:
    """Exact: Python integers, so 10 hours at 1/90000 do not overflow the product."""
    if not pts:
        return ()
    return tuple((p - pts[0]) * numerator * 1_000_000_000 // denominator for p in pts)


def _promised(stream: VideoStream, packets: int, last_s: float) -> str:
    """What the header says beyond what was found. Matroska says a duration instead of a count of frames."""
    if stream.frames > packets:
        return f"{stream.frames} frames"
    seconds = _tagged_seconds(stream.metadata.get("DURATION", ""))
    # The last frame lasts for a while too, and durations are rounded: only more than a second speaks of a cut.
    return f"{seconds:.1f} s" if seconds - last_s > 1.0 + seconds / 100 else ""


def _tagged_seconds(text: str) -> float:
    """ "00:01:02.500000000" → 62.5; 0.0 when it is not of that form."""
    try:
        hours, minutes, seconds = text.split(":")
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    except ValueError:
        return 0.0
