"""The whole pipeline, engine process and all, recording the embedded world until it is killed.

started                the journal is open
E <process id>         the engine's
A <event id>           this event was confirmed, as the screen would show it
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

from console.notices import EventSaved, Notice, RecordingStarted
from console.pipeline import Pipeline
from tests.helpers.real_pipeline import DEMO_CHECKPOINT, test_config


def say(line: str) -> None:
    os.write(1, f"{line}\n".encode())


def main(directory: Path, seed: int) -> None:
    pipeline = Pipeline(test_config(directory / "settings"))
    recording = threading.Event()

    def hear(notice: Notice) -> None:
        if isinstance(notice, RecordingStarted):
            say("started")
            recording.set()
        elif isinstance(notice, EventSaved):
            say(f"A {notice.event_id}")

    pipeline.listen(hear)
    world = f"world:cell?seed={seed}&fps=30&width=320&height=240"
    pipeline.watch(world, str(DEMO_CHECKPOINT), record_to=str(directory / "out"))
    recording.wait()
    say(f"E {pipeline.engine_pid}")
    press = threading.Event()
    while True:  # somebody who cannot keep their hands off the keys
        pipeline.override_start(pipeline.clock.now_ns(), pipeline.seq)
        press.wait(0.02)
        pipeline.override_end(pipeline.clock.now_ns(), pipeline.seq)
        pipeline.near_miss(pipeline.clock.now_ns(), pipeline.seq)
        press.wait(0.02)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
