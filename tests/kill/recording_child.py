"""A program that records until it is killed. Says what it was promised, one line each, before anything else happens.

    W <record number>   the write of this record returned
    A <event id>        this event was confirmed

Lines go straight to the pipe, so a killed program has said everything it knew.
"""

from __future__ import annotations

import os
import random
import struct
import sys
from dataclasses import replace
from pathlib import Path

from jepa_core.clock import CancelToken, SystemClock
from sessions import events
from sessions.disk import Disk
from tests.helpers.recordings import SMALL, Listener, make_header, make_look, make_recorder, make_row

FPS = 30


class TellingDisk(Disk):
    """Says of every record that its write returned."""

    def write(self, fd: int, data: bytes) -> None:
        super().write(fd, data)
        if data[:4] == b"WMR1":
            say(f"W {struct.unpack_from('<Q', data, 8)[0]}")


class TellingListener(Listener):
    def ack(self, event_id: str) -> None:
        say(f"A {event_id}")


def say(line: str) -> None:
    os.write(1, f"{line}\n".encode())


def main(directory: Path, seed: int) -> None:
    noise, clock, cancel = random.Random(seed), SystemClock(), CancelToken()
    # checkpoints often, so that kills meet them too; a part now and then rolls
    settings = replace(SMALL, sync_s=0.1, checkpoint_s=0.3, part_s=noise.choice([0.7, 3600.0]))
    recorder = make_recorder(
        directory, clock, TellingListener(), header=make_header(clock), settings=settings, disk=TellingDisk()
    )
    recorder.start()
    say("started")
    due, number = clock.now_ns(), 0
    while True:
        recorder.frame(make_row(number, clock))
        if number % 2:
            recorder.step(make_look(number, clock, step=number // 2))
        if noise.random() < 0.4:
            start = events.override_start(t_ns=clock.now_ns(), seq=1000 + number, actor="operator:ada")
            recorder.event(start)
            if noise.random() < 0.5:
                recorder.event(events.override_end(start, t_end_ns=clock.now_ns()))
        number += 1
        due += 1_000_000_000 // FPS
        clock.wait_until(due, cancel)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
