"""`python -m tests.helpers.memory_child FILE`: a real engine in a process whose memory really ends.

The address space is limited once everything is imported, then the checkpoint is loaded and shown frames through
EngineHost, as in the engine process. Prints what the engine said, one JSON object a line.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import threading

import numpy as np
import torch

from jepa_core import checkpoint, registry
from jepa_core.clock import SystemClock
from jepa_core.engine_host import EngineHost
from jepa_core.messages import (
    EngineFault,
    EngineOptions,
    FrameDone,
    FrameHere,
    LoadCheckpoint,
    Loaded,
    Looked,
    Refused,
    SteppedDown,
    StopEngine,
)

_ANSWERS = (Loaded, Refused)


def main() -> int:
    parser = argparse.ArgumentParser(description="load and look with a bounded amount of memory")
    parser.add_argument("file")
    parser.add_argument("--room", type=int, required=True, help="bytes of address space from now on")
    parser.add_argument("--frames", type=int, default=0, help="frames to show it; 0: load only")
    parser.add_argument("--clip-frames", type=int, default=16)
    args = parser.parse_args()
    torch.set_num_threads(1)
    for name in registry.FAMILIES:
        registry.family(name)
    torch.ones(64, 64) @ torch.ones(64, 64)
    assert checkpoint.load
    said: list[object] = []
    changed = threading.Condition()

    def reply(message: object) -> None:
        with changed:
            said.append(message)
            changed.notify_all()
        if (line := _line(message)) is not None:
            sys.stdout.write(json.dumps(line) + "\n")
            sys.stdout.flush()

    def wait_for(*kinds: type) -> None:
        with changed:
            changed.wait_for(lambda: any(isinstance(message, kinds) for message in said))
            said.clear()

    host = EngineHost(reply, SystemClock())
    looking = threading.Thread(target=host.run, name="engine-look")
    looking.start()
    _limit(args.room)
    options = EngineOptions(device="cpu", clip_frames=args.clip_frames, threads=1)
    host.handle(LoadCheckpoint(args.file, None, options))
    wait_for(*_ANSWERS)
    rgb = np.zeros((240, 320, 3), np.uint8)
    for seq in range(args.frames):
        t_ns = seq * 250_000_000
        here = FrameHere(-1, rgb.shape, seq, seq, t_ns, t_ns, -1, t_ns, "video:x", must_answer=True)
        host.handle(here, rgb)
        wait_for(FrameDone)
    host.handle(StopEngine())
    looking.join()
    return 0


def _limit(room: int) -> None:
    with open("/proc/self/statm", encoding="ascii") as stream:
        mapped = int(stream.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (mapped + room, mapped + room))


def _line(message: object) -> dict[str, object] | None:
    if isinstance(message, SteppedDown):
        return {"stepped": f"{message.what}: {message.before} → {message.after}"}
    if isinstance(message, Loaded):
        return {"loaded": message.info.dtype}
    if isinstance(message, Refused | EngineFault):
        return {
            "failed": message.error.code,
            "what": message.error.what,
            "detail": message.error.detail[-600:],
        }
    if isinstance(message, Looked):
        look = message.inspection
        return {"looked": list(look.layout.shape), "surprise": look.surprise}
    return None


if __name__ == "__main__":
    sys.exit(main())
