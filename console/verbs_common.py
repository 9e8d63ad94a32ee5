"""What the verbs share: the frame they run in, settings from the command line, the demo's files, output."""

from __future__ import annotations

import importlib
import logging
import os
import signal
import sys
import threading
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from console import config as settings
from console import faults, logs
from console.config import Config
from console.verbs_output import print_any_name, say, say_json
from jepa_core.clock import CancelToken
from jepa_core.errors import ConfigError

log = logging.getLogger(__name__)

ASSETS = Path(__file__).resolve().parent.parent / "assets"
DEMO_WORLD = "world:cell?seed=7"
DEMO_CHECKPOINT = ASSETS / "demo" / "cell.pt"
AGAIN_S = 0.5  # a second Ctrl+C is one that comes later than this; `timeout` sends the first one twice

# command line name → setting
_SETTINGS = {
    "device": "model.device",
    "dtype": "model.dtype",
    "clip_frames": "model.clip_frames",
    "stride": "model.stride",
    "threads": "model.threads",
    "mask": "mask.kind",
    "predict_steps": "mask.predict_steps",
    "seed": "mask.seed",
    "theme": "look.theme",
    "zoom": "look.zoom",
}

Verb = Callable[[Namespace, Config], int]


def run_verb(arguments: Namespace, target: str) -> int:
    """Run "module:function" with its settings and a log. Its errors become sentences; what it returns is the exit code."""
    as_json = wants_json(arguments)
    print_any_name()

    def work() -> int:
        config = load_config(arguments)
        if getattr(arguments, "print_config", False):
            _print_config(config, as_json)
            return faults.EXIT_OK
        running = logs.setup(config.log)
        try:
            with _threads_die_in_the_log():
                return faults.guarded(
                    lambda: _found(target)(arguments, config), as_json=as_json, log_file=running.path
                )
        finally:
            running.close()

    return faults.guarded(work, as_json=as_json)


def load_config(arguments: Namespace) -> Config:
    """The three layers, with this command line on top. Raises ConfigError."""
    given = {key: getattr(arguments, name, None) for name, key in _SETTINGS.items()}
    own: Path | None = getattr(arguments, "settings", None)
    if own is not None and not own.is_file():
        raise ConfigError(f"--settings {own}: there is no such file.", "Check the path.")
    return settings.load(given, user_file=own)


def wants_json(arguments: Namespace) -> bool:
    return bool(getattr(arguments, "json", False))


def cancel_on_signals() -> CancelToken:
    """Ctrl+C and SIGTERM ask the work to end in good order; a second one ends it at once."""
    cancel = CancelToken()
    first_s = 0.0

    def ask(number: int, _: object) -> None:
        nonlocal first_s
        if not cancel.is_cancelled:
            first_s = time.monotonic()
            cancel.cancel()
        elif time.monotonic() - first_s > AGAIN_S:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    signal.signal(signal.SIGINT, ask)
    signal.signal(signal.SIGTERM, ask)
    return cancel


def size_words(n_bytes: int) -> str:
    """1234567 → "1.2 MB"."""
    size = float(n_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    raise AssertionError("unreachable")


def _found(target: str) -> Verb:
    module, function = target.split(":")
    verb: Verb = getattr(importlib.import_module(module), function)
    return verb


def _print_config(config: Config, as_json: bool) -> None:
    if not as_json:
        say(settings.print_config(config))
        return
    values = {
        f"{section}.{name}": value
        for section, part in config.as_dict().items()
        for name, value in part.items()
    }
    say_json({key: {"value": value, "origin": config.origin(key)} for key, value in values.items()})


@contextmanager
def _threads_die_in_the_log() -> Iterator[None]:
    """What a thread or a finaliser dies of goes to the log, not as a traceback to the terminal."""
    before = threading.excepthook, sys.unraisablehook

    def in_thread(what: threading.ExceptHookArgs) -> None:
        name = what.thread.name if what.thread is not None else "?"
        log.critical("uncaught in thread %s", name, exc_info=what.exc_value)

    def in_finaliser(what: Any) -> None:
        log.error("unraisable in %r", what.object, exc_info=what.exc_value)

    threading.excepthook, sys.unraisablehook = in_thread, in_finaliser
    try:
        yield
    finally:
        threading.excepthook, sys.unraisablehook = before
