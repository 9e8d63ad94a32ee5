"""`python -m tests.benchmarks.recorder`: what it costs to keep a frame, and how soon an event is on disk.

A real Recorder takes 30 pictures a second and two events a second. Beside it, in turn, the floor: one `write` of the same
bytes, and one `write` with `fdatasync`. Nothing here passes or fails; it prints and writes JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from jepa_core.clock import CancelToken, SystemClock
from jepa_core.types import EventKind, SourceInfo
from sessions import codec, events
from sessions.header import build_header
from sessions.part import Part
from sessions.recorder import FrameRow, Recorder

FPS = 30.0


def measure(seconds: float, folder: Path) -> dict[str, Any]:
    clock, cancel = SystemClock(), CancelToken()
    picture = np.random.default_rng(0).integers(0, 255, (720, 1280, 3), np.uint8)
    picture = np.repeat(
        np.repeat(picture[::16, ::16], 16, 0), 16, 1
    )  # compresses as a picture does, not as noise
    encoded = codec.encode_jpeg(np.ascontiguousarray(picture))
    appends_ns: list[int] = []
    asked: dict[str, int] = {}
    acks_ns: list[int] = []
    plain, original = Part.write_frame, Part.write_frame

    def timed(part: Part, row: FrameRow) -> None:
        begin = time.perf_counter_ns()
        plain(part, row)
        appends_ns.append(time.perf_counter_ns() - begin)

    Part.write_frame = timed  # type: ignore[method-assign]
    try:
        source = SourceInfo("video:bench", "video", 1280, 720, FPS, -1, False, True)
        recorder = Recorder(
            folder, build_header(source=source), clock=clock,
            on_ack=lambda event_id: acks_ns.append(time.perf_counter_ns() - asked[event_id]),
        )  # fmt: skip
        recorder.start()
        begin_ns = clock.now_ns()
        for index in range(int(seconds * FPS)):
            clock.wait_until(begin_ns + int(index * 1e9 / FPS), cancel)
            now_ns = clock.now_ns()
            recorder.frame(FrameRow(index, index, now_ns, now_ns, -1, -1, encoded, 0))
            if index % 15 == 0:
                event = events.new_event(EventKind.BOOKMARK, t_ns=now_ns, seq=index, actor="operator:bench")
                asked[event.id] = time.perf_counter_ns()
                recorder.event(event)
        recorder.stop()
    finally:
        Part.write_frame = original  # type: ignore[method-assign]
    return {
        "frame_bytes": len(encoded),
        "append_ms": _percentiles(appends_ns),
        "event_acknowledged_ms": _percentiles(acks_ns),
        "gaps": recorder.status().gaps,
    }


def floor(count: int, size: int, folder: Path) -> dict[str, Any]:
    """The same bytes through bare system calls."""
    payload = os.urandom(size)
    writes_ns, syncs_ns = [], []
    descriptor = os.open(folder / "floor.bin", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    sync = getattr(os, "fdatasync", os.fsync)
    for index in range(count):
        begin = time.perf_counter_ns()
        os.write(descriptor, payload)
        writes_ns.append(time.perf_counter_ns() - begin)
        if index % 15 == 0:
            os.write(descriptor, payload[:2000])
            begin = time.perf_counter_ns()
            sync(descriptor)
            syncs_ns.append(time.perf_counter_ns() - begin)
    os.close(descriptor)
    return {"write_ms": _percentiles(writes_ns), "fdatasync_ms": _percentiles(syncs_ns)}


def _percentiles(values_ns: list[int]) -> dict[str, float]:
    p50, p99 = np.percentile(values_ns, (50, 99)) / 1e6
    return {"p50": round(float(p50), 3), "p99": round(float(p99), 3), "max": round(max(values_ns) / 1e6, 3)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--seconds", type=float, default=30.0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ours = measure(arguments.seconds, folder)
        report = {"ours": ours, "floor": floor(int(arguments.seconds * FPS), ours["frame_bytes"], folder)}
    report["ratio_append_p50"] = ours["append_ms"]["p50"] / report["floor"]["write_ms"]["p50"]
    sys.stdout.write(json.dumps(report, indent=2) + "\n")
    if arguments.out is not None:
        arguments.out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
