"""Small videos and pictures for tests: every frame carries its number as a barcode, so a seek can be proved exact.

Made with PyAV on the fly; nothing binary is kept in the repository.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from jepa_core import barcode
from jepa_core.cv import cv2

TICK = Fraction(1, 15360)  # the time base the videos are written with: 1024 ticks are one frame at 15 fps


def numbered_picture(number: int, width: int = 192, height: int = 144) -> NDArray[np.uint8]:
    """(height, width, 3) uint8 with something that moves, and `number` as a barcode."""
    x = np.linspace(0, 1, width, dtype=np.float32)[None, :]
    y = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    phase = number * 0.21
    red = 120 + 90 * np.sin(6 * x + phase) * np.ones_like(y)
    green = 120 + 90 * np.cos(5 * y - phase) * np.ones_like(x)
    blue = 120 + 90 * np.sin(4 * (x + y) + phase)
    rgb = np.stack([red, green, blue], axis=-1).astype(np.uint8)
    left = int((0.1 + 0.07 * number) % 0.8 * width)
    rgb[height // 2 : height // 2 + 20, left : left + 20] = (250, 240, 40)
    barcode.paint(rgb, number)
    return rgb


def write_video(
    path: Path,
    *,
    frames: int = 30,
    codec: str = "libx264",
    pts: Sequence[int] | None = None,
    fps: int = 15,
    width: int = 192,
    height: int = 144,
    keyframe_every: int = 10,
    b_frames: int = 0,
    rotation: int = 0,
    options: Mapping[str, str] | None = None,
    container_options: Mapping[str, str] | None = None,
) -> Path:
    """A video of numbered pictures. `pts` in TICKs makes the rate variable; without it the rate is `fps`."""
    import av

    stamps = list(pts) if pts is not None else [n * int(1 / (TICK * fps)) for n in range(frames)]
    with av.open(str(path), "w", container_options=dict(container_options or {})) as container:
        stream = container.add_stream(codec, rate=fps)
        stream.width, stream.height = width, height
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.time_base = stream.codec_context.time_base = TICK if pts is not None else Fraction(1, fps)
        stream.codec_context.gop_size = keyframe_every
        stream.codec_context.thread_count = 1
        if codec.startswith("libx26"):
            quiet = {"preset": "ultrafast", "crf": "18", "bf": str(b_frames)}
            extra = {"x265-params": "log-level=error"} if codec == "libx265" else {"sc_threshold": "0"}
            stream.options = quiet | extra | dict(options or {})
        else:
            stream.codec_context.max_b_frames = b_frames
            stream.options = dict(options or {})
        if rotation:
            stream.set_display_rotation(rotation)
        for number, stamp in enumerate(stamps):
            frame = av.VideoFrame.from_ndarray(numbered_picture(number, width, height), format="rgb24")
            frame.time_base = stream.codec_context.time_base
            frame.pts = stamp if pts is not None else number
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path


def uneven_pts(frames: int, seed: int = 3) -> list[int]:
    """Presentation times in TICKs with intervals between 10 and 200 ms, as phones and screen recorders write them."""
    steps = np.random.default_rng(seed).integers(int(0.010 / TICK), int(0.200 / TICK), frames - 1)
    return [0, *np.cumsum(steps).tolist()]


def write_pictures(folder: Path, *, frames: int = 12, suffix: str = ".png", start: int = 0) -> Path:
    """A folder of numbered pictures named frame0.png … frame11.png, so that only a natural sort orders them."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(start, start + frames):
        bgr = np.ascontiguousarray(numbered_picture(number)[:, :, ::-1])
        ok, data = cv2.imencode(suffix, bgr)
        assert ok
        (folder / f"frame{number}{suffix}").write_bytes(data.tobytes())
    return folder
