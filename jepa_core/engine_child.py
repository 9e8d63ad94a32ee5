"""What runs inside the engine process: the pipe, the ring and the beat around an EngineHost.

Started by `engine_process` in a fresh interpreter (spawn). It ends when told to, when its device is lost, and when the
pipe closes: however the window's process went, no engine outlives it. It has no log of its own: what it and its
libraries have to say goes to the parent's log with the next beat.
"""

from __future__ import annotations

import importlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection

import numpy as np
from numpy.typing import NDArray

from jepa_core.child_log import ChildLog, listen_to_this_process
from jepa_core.clock import SystemClock
from jepa_core.engine_host import EngineHost
from jepa_core.frame_ring import FrameRing
from jepa_core.messages import AttachRing, Beat, FrameHere

log = logging.getLogger(__name__)

EXIT_DEVICE_LOST, EXIT_BROKEN = 70, 71
NICENESS = 10  # where cores are few, the picture and the record go before the prediction


def engine_main(pipe: Connection, loader: str, beat_s: float) -> None:
    """What the engine process runs: this thread looks, one reads the pipe, one beats."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is the parent's to handle; it tells us to stop
    if hasattr(os, "nice"):
        os.nice(NICENESS)  # before any thread is made: threads inherit it
    sys.setswitchinterval(0.001)  # the ingest thread must get its turn while torch code runs Python
    sending = threading.Lock()

    def reply(message: object) -> None:
        try:
            with sending:
                pipe.send(message)
        except OSError:
            os._exit(0)  # nobody hears us: the parent is gone

    def broken() -> None:
        """Something failed that nobody foresaw: say so, and let the supervisor start another process."""
        for line in said.drain():
            reply(line)
        os._exit(EXIT_BROKEN)

    said = listen_to_this_process("engine-", on_thread_died=broken)
    # A lost device stays lost to the process that lost it; the supervisor starts another one.
    host = EngineHost(reply, SystemClock(), loader=loader, on_device_lost=lambda: os._exit(EXIT_DEVICE_LOST))
    threading.Thread(target=_ingest_loop, args=(pipe, host), name="engine-ingest", daemon=True).start()
    # Now, not at the first load: mapping torch from a cold disk holds the interpreter lock for seconds, in which no
    # beat could go out. Until the first beat the supervisor is patient.
    importlib.import_module("jepa_core.engine")
    threading.Thread(
        target=_beat_loop, args=(host, said, reply, beat_s), name="engine-beat", daemon=True
    ).start()
    try:
        host.run()
    except Exception:
        log.critical("the engine's loop died", exc_info=True)
        broken()
    os._exit(0)  # nothing of ours needs an orderly end, and a driver's exit handlers may hang


def _ingest_loop(pipe: Connection, host: EngineHost) -> None:
    ring: FrameRing | None = None
    while True:
        try:
            message = pipe.recv()
        except (EOFError, OSError):
            os._exit(0)  # the parent is gone, however it went; a look in progress is of no use to anyone
        if isinstance(message, AttachRing):
            ring = _attach(message)
        elif isinstance(message, FrameHere):
            host.handle(message, _pixels(message, ring))
        else:
            host.handle(message)


def _attach(message: AttachRing) -> FrameRing | None:
    """None where the ring is gone already: its source was closed again. Only a frame in it would be a fault."""
    try:
        return FrameRing.attach(message.name, message.slots, message.slot_bytes)
    except OSError:
        log.info("the ring %s is gone", message.name)
        return None


def _pixels(message: FrameHere, ring: FrameRing | None) -> NDArray[np.uint8] | None:
    """The frame where it lies, not a copy; the host gives the slot back as soon as it has its crop."""
    try:
        return None if ring is None else ring.read(message.slot, message.shape)
    except ValueError:
        log.info("frame %d does not lie in the ring %s", message.seq, ring.name if ring else "")
        return None


def _beat_loop(host: EngineHost, said: ChildLog, reply: Callable[[object], None], beat_s: float) -> None:
    import psutil

    me = psutil.Process()
    never = threading.Event()
    while True:
        for line in said.drain():
            reply(line)
        reply(Beat(me.memory_info().rss, _device_bytes(), host.clip_frames, host.looks_let_go))
        never.wait(beat_s)


def _device_bytes() -> int:
    """Memory held on the accelerator; 0 while torch is not even imported."""
    torch = sys.modules.get("torch")
    cuda = getattr(torch, "cuda", None)  # a half-imported torch has none yet
    return int(cuda.memory_reserved()) if cuda is not None and cuda.is_initialized() else 0
