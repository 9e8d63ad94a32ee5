"""A video file as a source: frame-exact in every direction, whatever its rate, reordering or rotation.

Owns its decoder; only the thread that reads touches it. Audio is ignored. Colour conversion is bit-exact, so the same file
gives the same pixels on every machine with this PyAV. Seeking goes to the key frame before and decodes forward to the exact
time stamp of the frame in our own index (parts/video_index.py), never through `time × fps`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from jepa_core.clock import CancelToken
from jepa_core.errors import Cancelled, NotSeekable, SourceError, SourceLost, SourceNotFound
from jepa_core.types import JSON, SourceInfo, frozen
from sessions.sources.base import Grab
from sessions.sources.parts.fingerprint import fingerprint
from sessions.sources.parts.options import refuse_unknown
from sessions.sources.parts.paths import readable_file
from sessions.sources.parts.video_index import VideoIndex, index_by_decoding, index_packets

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

_MANY_PIXELS = (
    1280 * 720
)  # from here a second decoding thread pays; below it would take a core from the model


class VideoFile:
    """One video file. See the module docstring for who may touch what."""

    info: SourceInfo

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._closing = threading.Event()
        self._using = threading.Lock()  # held by whoever works on the decoder
        self._container: InputContainer | None = None
        self._frames: Iterator[tuple[int, VideoFrame]] = iter(())
        self._held: tuple[int, VideoFrame] | None = None  # decoded, but belongs to a later read
        self._index: VideoIndex | None = None
        self._next = 0  # number of the frame the next read gives
        self._reached = -1  # key of the frame decoded last, -1 when the decoder must be placed anew
        self._rotation = 0
        self._size = (0, 0)  # width, height before rotation
        self._has_said_early_end = False

    @classmethod
    def from_uri(cls, body: str, options: Mapping[str, str]) -> VideoFile:
        refuse_unknown("video", options, ())
        return cls(readable_file(body, "video"))

    # -- the Source protocol ----------------------------------------------------------------------------------------

    def open(self) -> None:
        """Index the file, decode its first picture, compute its hash. Raises SourceNotFound, SourceLost, Cancelled."""
        with self._using:
            try:
                self._open()
            finally:
                if self._closing.is_set():
                    self._release()

    def read(self, cancel: CancelToken) -> Grab | None:
        with self._using:
            try:
                return self._read(cancel)
            finally:
                if self._closing.is_set():
                    self._release()

    def seek(self, index: int) -> None:
        frames = len(self._opened())
        if not 0 <= index < frames:
            raise NotSeekable(f"{self.path.name} has no frame {index}.", f"It has frames 0 to {frames - 1}.")
        self._next = index

    def close(self) -> None:
        """May come from another thread: a read that is under way ends and lets go of the decoder itself."""
        self._closing.set()
        if self._using.acquire(blocking=False):
            try:
                self._release()
            finally:
                self._using.release()

    def index_at(self, pts_ns: int) -> int:
        """The frame number shown at this position of the file."""
        return self._opened().number_at(pts_ns)

    def pts_ns_of(self, index: int) -> int:
        """Where in the file this frame number begins."""
        return self._opened().pts_ns[index]

    # -- opening ----------------------------------------------------------------------------------------------------

    def _open(self) -> None:
        readable_file(str(self.path), "video")
        container, stream = self._connect()
        self._index = self._make_index(container, stream)
        container, stream = self._connect()  # afresh: an index pass leaves some demuxers at their end
        first = self._first_frame()
        self._rotation = round(first.rotation) % 360
        self._size = (first.width, first.height)
        self._next = 0
        width, height = self._size if self._rotation % 180 == 0 else self._size[::-1]
        self.info = SourceInfo(
            name=f"video:{self.path.name}",
            kind="video",
            width=width,
            height=height,
            fps=self._index.fps or float(stream.average_rate or 0.0),
            frames=len(self._index),
            is_live=False,
            is_seekable=True,
            detail=self._facts(container, stream, first),
        )

    def _connect(self) -> tuple[InputContainer, VideoStream]:
        """Open the file for decoding from its beginning; an open one is closed first."""
        try:
            import av
            from av.error import FFmpegError
        except ImportError as error:
            raise SourceNotFound(
                "Video files need the package 'av' (PyAV), which is not installed here.",
                "Run `python3 run.py setup`, or `pip install av`; folders of pictures and sessions work without it.",
                detail=str(error),
            ) from error
        if self._container is not None:
            self._container.close()
            self._container = None
        try:
            container = av.open(str(self.path), mode="r", metadata_errors="replace")
        except (FFmpegError, OSError, ValueError) as error:
            raise self._not_a_video(str(error)) from error
        self._container = container
        if not container.streams.video:
            raise SourceNotFound(
                f"{self.path.name} holds no picture track, only {_kinds(container)}.",
                "Choose a file that has video in it.",
            )
        stream = container.streams.video[0]
        if stream.codec_context is None:
            raise SourceNotFound(
                f"{self.path.name} is compressed in a way this program cannot decode.",
                "Convert it, for instance with `ffmpeg -i IN -c:v libx264 OUT.mp4`.",
            )
        large = stream.codec_context.width * stream.codec_context.height >= _MANY_PIXELS
        stream.codec_context.thread_count = 2 if large else 1
        stream.codec_context.thread_type = "FRAME" if large else "NONE"
        self._frames = self._decoded(container, stream)
        self._held, self._reached = None, -1
        return container, stream

    def _make_index(self, container: InputContainer, stream: VideoStream) -> VideoIndex:
        from av.error import FFmpegError

        try:
            index = index_packets(container, stream, self._closing.is_set)
            if index is None:
                container, stream = self._connect()
                index = index_by_decoding(container, stream, self._closing.is_set)
        except FFmpegError as error:
            raise self._not_a_video(str(error)) from error
        if len(index) == 0:
            raise self._not_a_video("no packet with a picture")
        return index

    def _first_frame(self) -> VideoFrame:
        """The first picture that decodes; what stands before it is reported when it is read."""
        for key, frame in self._frames:
            self._held = (key, frame)
            return frame
        raise self._not_a_video("no picture can be decoded")

    def _not_a_video(self, detail: str) -> SourceNotFound:
        with self.path.open("rb") as file:
            head = file.read(12)
        if not head:
            return SourceNotFound(
                f"{self.path.name} is empty.", "Copy it again from where it was recorded.", detail
            )
        if head[4:8] == b"ftyp":  # MP4 and MOV write their index at the end
            return SourceNotFound(
                f"{self.path.name} begins like an MP4 video, but its index is missing: the recording or copy was cut off.",
                "Recover it with the program that recorded it; MKV files survive this.",
                detail,
            )
        return SourceNotFound(
            f"{self.path.name} is not a video this program can read.",
            "Choose a video file (MP4, MKV, MOV, AVI, WebM), a folder of pictures or a session.",
            detail,
        )

    def _facts(self, container: InputContainer, stream: VideoStream, first: VideoFrame) -> dict[str, JSON]:
        index = self._opened()
        shortest, longest = index.interval_ns
        facts: dict[str, JSON] = {
            "path": str(self.path),
            "container": container.format.name,
            "codec": stream.codec_context.name,
            "pixel_format": first.format.name,
            "color_matrix": int(first.colorspace),  # ISO/IEC 23091-4 code as the decoder reports it
            "time_base": f"{stream.time_base}",
            "rotation_deg": self._rotation,  # counter-clockwise, already applied
            "duration_ns": index.pts_ns[-1] - index.pts_ns[0],
            "is_variable_rate": index.is_variable_rate,
            "interval_ns": [shortest, longest],
            "is_cut_off": bool(index.promised),
            "has_time_stamps": not index.is_counted,
        }
        return facts | fingerprint(self.path, self._closing.is_set)

    # -- reading ----------------------------------------------------------------------------------------------------

    def _read(self, cancel: CancelToken) -> Grab | None:
        index = self._opened()
        cancel.check()
        if self._next >= len(index):
            if index.promised:
                self._say_early_end(len(index) - 1, f"its header promises {index.promised}")
            return None
        number = self._next
        frame = self._frame(index, number, cancel)
        if frame is None:
            return None
        self._next = number + 1
        return Grab(
            index=number,
            rgb=self._rgb(frame, number),
            pts_ns=index.pts_ns[number],
            is_corrupt=bool(frame.is_corrupt),
        )

    def _say_early_end(self, last: int, why: str) -> None:
        """Raise SourceLost the first time only: after that the file has simply ended."""
        if self._has_said_early_end:
            return
        self._has_said_early_end = True
        raise SourceLost(
            f"{self.path.name} ends early at frame {last}: {why}.",
            "Everything up to there is shown and can be used; copy the file again if it should be longer.",
        )

    def _frame(self, index: VideoIndex, number: int, cancel: CancelToken) -> VideoFrame | None:
        """Decode forward to exactly this frame, from where the decoder stands if that is shortest. None: no more."""
        key = index.keys[number]
        if not self._can_go_on(index, key):
            self._place(index, key, cancel)
        for found, frame in self._ahead(cancel):
            if found == key:
                self._reached = key
                return frame
            if found > key:
                self._held = (found, frame)
                self._next = number + 1
                raise SourceError(
                    f"Frame {number} of {self.path.name} is damaged and cannot be decoded.",
                    "It is left out; the frames after it follow.",
                )
            self._reached = found
        self._next = len(index)
        why = f"its header promises {index.promised}" if index.promised else "what follows cannot be decoded"
        self._say_early_end(number - 1, why)
        return None

    def _can_go_on(self, index: VideoIndex, key: int) -> bool:
        """True when decoding on from here reaches the frame no later than from the key frame before it."""
        here = self._held[0] if self._held is not None else self._reached
        if here < 0 and self._held is None:
            return False
        is_ahead = key >= here if self._held is not None else key > here
        nearest = index.entries_before(key)
        return is_ahead and (not nearest or nearest[0] <= here)

    def _place(self, index: VideoIndex, key: int, cancel: CancelToken) -> None:
        """Put the decoder at or before the frame: the nearest key frame, an earlier one, at last the beginning."""
        assert self._container is not None
        if not index.is_counted:
            stream = self._container.streams.video[0]
            for entry in index.entries_before(key)[:3]:
                cancel.check()
                self._container.seek(entry, stream=stream, backward=True, any_frame=False)
                self._frames = self._decoded(self._container, stream)
                self._held, self._reached = None, -1
                self._held = next(self._ahead(cancel), None)
                if self._held is not None and self._held[0] <= key:
                    return
        self._connect()

    def _ahead(self, cancel: CancelToken) -> Iterator[tuple[int, VideoFrame]]:
        """The held frame first, then what the decoder gives; stops between two frames when called off."""
        held, self._held = self._held, None
        if held is not None:
            yield held
        for pair in self._frames:
            if self._closing.is_set():
                raise Cancelled
            if cancel.is_cancelled:
                self._held = pair
                raise Cancelled
            yield pair

    def _decoded(self, container: InputContainer, stream: VideoStream) -> Iterator[tuple[int, VideoFrame]]:
        """Key and picture, in presentation order. A damaged packet is passed over; the index shows the hole."""
        from av.error import EOFError as EndOfFile
        from av.error import FFmpegError, InvalidDataError

        packets = container.demux(stream)
        count = 0
        while True:
            try:
                packet = next(packets, None)
            except (InvalidDataError, EndOfFile):
                packet = None  # the file breaks off inside a packet
            except FFmpegError as error:
                raise SourceLost(
                    f"{self.path.name} cannot be read any more.",
                    "Is the disk or share still there?",
                    str(error),
                ) from error
            if packet is None:
                return
            try:
                frames = packet.decode()
            except (InvalidDataError, EndOfFile):
                continue
            for frame in frames:
                key = count if self._index is not None and self._index.is_counted else frame.pts
                count += 1
                if key is not None:
                    yield key, frame

    def _rgb(self, frame: VideoFrame, number: int) -> NDArray[np.uint8]:
        """(H, W, 3) uint8, upright."""
        from av.video.reformatter import Interpolation

        if (frame.width, frame.height) != self._size:
            width, height = self._size
            raise SourceError(
                f"Frame {number} of {self.path.name} is {frame.width}×{frame.height}, the video began with {width}×{height}.",
                "It is left out, because stretching it would show the model something else; cut the file there.",
            )
        exact = Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.BITEXACT
        rgb = frame.reformat(format="rgb24", interpolation=exact, threads=1).to_ndarray()
        return frozen(np.rot90(rgb, self._rotation // 90))

    # -- letting go -------------------------------------------------------------------------------------------------

    def _opened(self) -> VideoIndex:
        if self._closing.is_set():
            raise Cancelled
        if self._index is None:
            raise SourceError(f"{self.path.name} is not open.", "Open the source before reading from it.")
        return self._index

    def _release(self) -> None:
        self._frames, self._held = iter(()), None
        if self._container is not None:
            self._container.close()
            self._container = None


def _kinds(container: InputContainer) -> str:
    kinds = sorted({stream.type for stream in container.streams})
    return " and ".join(kinds) if kinds else "nothing"
