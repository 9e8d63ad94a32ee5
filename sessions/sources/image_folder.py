"""A folder of pictures as a source: one picture, one frame, in the order a person would count them.

Frame n is the n-th picture by natural sort ("2.png" before "10.png"); its time is n / fps. A picture that cannot be read, or
whose size differs from the first, is reported by name and left out while the others keep their numbers: nothing is
stretched in silence, because a stretched picture would be another question to the model.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from jepa_core.clock import CancelToken
from jepa_core.errors import Cancelled, NotSeekable, SourceError, SourceLost, SourceNotFound
from jepa_core.types import SourceInfo, frozen
from sessions.sources.base import Grab
from sessions.sources.parts.options import number, refuse_unknown
from sessions.sources.parts.paths import readable_folder

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".jp2"})
DEFAULT_FPS = 15.0  # pictures have no rate of their own; said in the info as assumed


class ImageFolder:
    """The pictures of one folder. Holds no file open between two reads."""

    info: SourceInfo

    def __init__(self, path: str | Path, fps: float | None = None) -> None:
        self.path = Path(path)
        self._fps = DEFAULT_FPS if fps is None else fps
        self._is_fps_assumed = fps is None
        self._closing = threading.Event()
        self._names: list[str] = []
        self._size = (0, 0)  # width, height of the first readable picture
        self._next = 0

    @classmethod
    def from_uri(cls, body: str, options: Mapping[str, str]) -> ImageFolder:
        refuse_unknown("images", options, ("fps",))
        path = readable_folder(body, "pictures")
        return cls(path, number(options, "fps", DEFAULT_FPS, 0.01, 1000.0) if "fps" in options else None)

    def open(self) -> None:
        """List the folder and read its first picture. Raises SourceNotFound."""
        folder = readable_folder(str(self.path), "pictures")
        try:
            found = [
                entry for entry in folder.iterdir() if entry.suffix.lower() in SUFFIXES and entry.is_file()
            ]
        except OSError as error:
            raise SourceNotFound(
                f"The folder {folder} cannot be listed.", "Is the disk still there?", str(error)
            ) from error
        found = [
            entry for entry in found if not entry.name.startswith(".")
        ]  # "._x.jpg": what macOS leaves behind
        if not found:
            raise SourceNotFound(
                f"The folder {folder} holds no pictures.",
                f"Pictures are {', '.join(sorted(SUFFIXES))} files.",
            )
        self._names = sorted((entry.name for entry in found), key=natural_key)
        self._size = self._first_size()
        self._next = 0
        self.info = SourceInfo(
            name=f"images:{folder.name}",
            kind="images",
            width=self._size[0],
            height=self._size[1],
            fps=self._fps,
            frames=len(self._names),
            is_live=False,
            is_seekable=True,
            detail={
                "path": str(folder),
                "first": self._names[0],
                "last": self._names[-1],
                "is_fps_assumed": self._is_fps_assumed,
                "listing_sha256": self._listing_sha256(),
            },
        )

    def read(self, cancel: CancelToken) -> Grab | None:
        """The next picture. Raises SourceError, with its name, for one that cannot be shown."""
        if self._closing.is_set() or cancel.is_cancelled:
            raise Cancelled
        if self._next >= len(self._names):
            return None
        index = self._next
        self._next += 1
        name = self._names[index]
        rgb = self._picture(name)
        height, width = rgb.shape[:2]
        if (width, height) != self._size:
            wanted = f"{self._size[0]}×{self._size[1]}"
            raise SourceError(
                f"{name} is {width}×{height}, the pictures before it are {wanted}.",
                "It is left out and keeps its number; give it the same size to see it.",
            )
        return Grab(index=index, rgb=rgb, pts_ns=self.pts_ns_of(index))

    def seek(self, index: int) -> None:
        if not 0 <= index < len(self._names):
            raise NotSeekable(
                f"{self.path.name} has no picture number {index}.",
                f"It has numbers 0 to {len(self._names) - 1}.",
            )
        self._next = index

    def close(self) -> None:
        self._closing.set()

    def index_at(self, pts_ns: int) -> int:
        """The number of the picture shown at this time."""
        guess = max(0, min(len(self._names) - 1, round(pts_ns * self._fps / 1e9)))
        while guess > 0 and self.pts_ns_of(guess) > pts_ns:
            guess -= 1
        return guess

    def pts_ns_of(self, index: int) -> int:
        return round(index * 1e9 / self._fps)

    def _picture(self, name: str) -> NDArray[np.uint8]:
        """(H, W, 3) uint8, turned as its EXIF orientation says (cv2 does that)."""
        from jepa_core.cv import cv2

        try:
            data = np.frombuffer((self.path / name).read_bytes(), np.uint8)
        except FileNotFoundError as error:
            if not self.path.is_dir():
                raise SourceLost(
                    f"The folder {self.path} is gone.", "Is the disk or share still there?"
                ) from error
            raise SourceError(f"{name} is gone.", "It is left out; the others go on.", str(error)) from error
        except OSError as error:
            raise SourceError(
                f"{name} cannot be read.", "It is left out; the others go on.", str(error)
            ) from error
        bgr = None
        if data.size:
            try:
                bgr = cv2.imdecode(data, cv2.IMREAD_COLOR)
            except cv2.error as error:  # absurd sizes in a damaged header
                raise SourceError(
                    f"{name} is not a readable picture.", "It is left out.", str(error)
                ) from error
        if bgr is None:
            raise SourceError(f"{name} is not a readable picture.", "It is left out; the others go on.")
        return frozen(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB))

    def _first_size(self) -> tuple[int, int]:
        """Of the first picture that can be read; the unreadable ones before it are reported when they are played."""
        problem = SourceError("")
        for name in self._names[:20]:
            try:
                height, width = self._picture(name).shape[:2]
            except SourceError as error:
                problem = error
                continue
            return width, height
        raise SourceNotFound(
            f"None of the first pictures in {self.path} can be read.", "Are they pictures?", problem.what
        )

    def _listing_sha256(self) -> str:
        """Of every name and size in order: cheap, and changes when a picture is added, lost or replaced by another."""
        digest = hashlib.sha256()
        for name in self._names:
            digest.update(f"{name}\0{(self.path / name).stat().st_size}\n".encode())
        return digest.hexdigest()


def natural_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sorts digits as numbers and letters without regard to case; equal but for case or zeros: by the name itself."""
    parts = re.split(r"([0-9]+)", name)
    key = tuple((0, int(part), "") if part.isdecimal() else (1, 0, part.casefold()) for part in parts if part)
    return (*key, (2, 0, name))
