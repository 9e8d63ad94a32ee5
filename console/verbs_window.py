"""The verbs that open the window: none, `demo`, `live`, `replay`. Without a display, `demo` and `live` run headless."""

from __future__ import annotations

import json
import os
import subprocess
from argparse import Namespace
from pathlib import Path

from console import environment
from console.config import Config
from console.recompute import program
from console.verbs_common import (
    DEMO_CHECKPOINT,
    DEMO_WORLD,
    cancel_on_signals,
    load_config,
    say,
    say_json,
    size_words,
    wants_config_printed,
)
from jepa_core.errors import ConfigError, DisplayError


def start(arguments: Namespace) -> int:
    """The start screen."""
    config = load_config(arguments)
    if wants_config_printed(arguments, config):
        return 0
    return _open_window(arguments, config, screen="start")


def live(arguments: Namespace) -> int:
    config = load_config(arguments)
    if wants_config_printed(arguments, config):
        return 0
    if arguments.headless:
        return _live_headless(arguments, config)
    return _open_window(
        arguments,
        config,
        screen="live",
        source=arguments.source,
        checkpoint=arguments.checkpoint,
        record_directory=str(arguments.record) if arguments.record is not None else None,
        every_frame=arguments.every_frame,
        seconds=arguments.seconds,
    )


def replay(arguments: Namespace) -> int:
    config = load_config(arguments)
    if wants_config_printed(arguments, config):
        return 0
    if arguments.recompute:
        from console.verbs_batch import recompute

        return recompute(arguments)
    return _open_window(arguments, config, screen="replay", source=arguments.session)


def demo(arguments: Namespace) -> int:
    """The embedded world and checkpoint; without a display the same headless, with a picture of the window."""
    config = load_config(arguments)
    if wants_config_printed(arguments, config):
        return 0
    is_offscreen = os.environ.get("QT_QPA_PLATFORM", "").split(":")[0] in environment.SCREENLESS
    if getattr(arguments, "screenshot", None) or (not is_offscreen and environment.is_display_available()):
        return _open_window(
            arguments, config, screen="live", source=DEMO_WORLD, checkpoint=str(DEMO_CHECKPOINT)
        )
    return _demo_headless(arguments, config)


def _open_window(arguments: Namespace, config: Config, *, screen: str, **request: object) -> int:
    environment.clean()
    environment.check_display()
    from console.app import run_window
    from console.start_request import StartRequest

    return run_window(
        config,
        start=StartRequest(
            screen=screen,
            checkpoint_config=getattr(arguments, "config", None),
            screenshot=getattr(arguments, "screenshot", None),
            after_s=getattr(arguments, "after", 3.0),
            size=_size(getattr(arguments, "size", None)),
            **request,  # type: ignore[arg-type]
        ),
    )


def _size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    width, _, height = text.lower().partition("x")
    if not (width.isdigit() and height.isdigit()):
        raise ConfigError(
            f"--size {text}: that is not a size.", "Write it as WIDTHxHEIGHT, for example 1280x720."
        )
    return int(width), int(height)


def _live_headless(arguments: Namespace, config: Config) -> int:
    from console.headless import HeadlessRequest, run
    from console.progress import Progress

    if arguments.checkpoint is None or arguments.record is None:
        raise ConfigError(
            "live --headless needs to know what to keep and where.", "Add --checkpoint C and --record DIR."
        )
    request = HeadlessRequest(
        source=arguments.source,
        checkpoint=arguments.checkpoint,
        out=arguments.record,
        checkpoint_config=getattr(arguments, "config", None),
        every_frame=arguments.every_frame,
        speed=1.0,
        seconds=arguments.seconds,
        is_engine_local=False,
    )
    result = run(config, request, Progress(), cancel_on_signals())
    if getattr(arguments, "json", False):
        say_json({"session": str(result.session), **result.summary})
    else:
        say(f"{result.session}")
    if result.error is not None:
        raise result.error
    return 0


def _demo_headless(arguments: Namespace, config: Config) -> int:
    """A session, a summary and a picture of the window, in one folder."""
    from console.headless import HeadlessRequest, run
    from console.progress import Progress

    out: Path = arguments.out
    as_json = getattr(arguments, "json", False)
    if not as_json:
        say(f"There is no display: the demo runs without a window for {arguments.seconds:.0f} s, into {out}.")
    request = HeadlessRequest(
        source=DEMO_WORLD,
        checkpoint=str(DEMO_CHECKPOINT),
        out=out,
        every_frame=False,
        speed=1.0,
        seconds=arguments.seconds,
        is_engine_local=False,
    )
    result = run(config, request, Progress(), cancel_on_signals())
    picture = out / "window.png"
    _picture_of_the_window(picture)
    summary = {
        "session": result.session.name,
        "picture": picture.name,
        "checkpoint_note": _note_of(DEMO_CHECKPOINT),
        **result.summary,
    }
    (out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    if as_json:
        say_json(summary)
        return 0
    say(f"session   {result.session}  ({size_words(result.session.stat().st_size)})")
    say(
        f"          {result.summary['frames']} frames, {result.summary['steps']} looks, {result.summary['gaps']} gaps"
    )
    say(f"picture   {picture}")
    say(f"summary   {out / 'summary.json'}")
    note = summary["checkpoint_note"]
    if note:
        say(f"note      {note}")
    return 0


def _picture_of_the_window(picture: Path) -> None:
    """Draw the live window without a screen, in a process of its own, and keep what it looks like."""
    command = [
        *program(), "demo", "--screenshot", str(picture), "--after", "6", "--size", "1920x1080",
    ]  # fmt: skip
    environ = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode != 0:
        raise DisplayError(
            "The picture of the window could not be drawn.", done.stderr.strip() or "Run it again."
        )


def _note_of(checkpoint: Path) -> str:
    card = checkpoint.with_suffix(".card.json")
    if not card.exists():
        return ""
    notes = json.loads(card.read_text(encoding="utf-8")).get("notes", [])
    return "; ".join(str(note) for note in notes)
