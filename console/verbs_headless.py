"""The verbs that run the pipeline without a window: `live --headless` and `demo` where there is no display."""

from __future__ import annotations

import json
import os
import subprocess
from argparse import Namespace
from pathlib import Path
from typing import cast

from console import faults
from console.config import Config
from console.headless import HeadlessRequest, HeadlessResult, run
from console.progress import Progress
from console.recompute import program
from console.verbs_common import DEMO_CHECKPOINT, DEMO_WORLD, cancel_on_signals, size_words, wants_json
from console.verbs_output import say, say_json
from jepa_core.clock import CancelToken
from jepa_core.errors import ConsoleError, DisplayError
from jepa_core.types import JSON

PICTURE_S = 120.0  # for a whole program to start, load, play six seconds and draw


def live(arguments: Namespace, config: Config) -> int:
    """Play at the source's own speed, into a session."""
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
    cancel = cancel_on_signals()
    return tell_result(run(config, request, Progress(), cancel), cancel, as_json=wants_json(arguments))


def tell_result(result: HeadlessResult, cancel: CancelToken, *, as_json: bool) -> int:
    """Say where the session is and what it holds; 130 when stopped, 3 with the reason when something broke off."""
    facts: dict[str, JSON] = {
        "session": str(result.session),
        "is_complete": result.error is None and not cancel.is_cancelled,
        **result.summary,
    }
    if not as_json:
        say(f"{result.session}")
        say(f"{facts['frames']} frames, {facts['steps']} looks, {facts['gaps']} gaps")
        for given_up in cast("list[str]", facts.get("given_up", [])):
            say(given_up)
    code = faults.EXIT_OK
    if result.error is not None:
        code = faults.refuse(result.error, as_json=as_json, facts=facts)
    elif as_json:
        say_json(facts)
    return faults.EXIT_INTERRUPTED if cancel.is_cancelled else code


def demo(arguments: Namespace, config: Config) -> int:
    """A session, a summary and a picture of the window, in one folder."""
    out: Path = arguments.out
    as_json = wants_json(arguments)
    if not as_json:
        say(f"There is no display: the demo runs without a window for {arguments.seconds:.0f} s, into {out}.")
    cancel = cancel_on_signals()
    request = HeadlessRequest(
        source=DEMO_WORLD,
        checkpoint=str(DEMO_CHECKPOINT),
        out=out,
        every_frame=False,
        speed=1.0,
        seconds=arguments.seconds,
        is_engine_local=False,
    )
    result = run(config, request, Progress(), cancel)
    if cancel.is_cancelled or result.error is not None:
        return tell_result(result, cancel, as_json=as_json)
    picture = out / "window.png"
    problem = _picture_of_the_window(picture)
    if cancel.is_cancelled:
        return tell_result(result, cancel, as_json=as_json)
    summary: dict[str, JSON] = {
        "session": result.session.name,
        "picture": picture.name if problem is None else "",
        "checkpoint_note": _note_of(DEMO_CHECKPOINT),
        **result.summary,
    }
    (out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    if not as_json:
        _say_demo(result, out, summary)
    if problem is not None:
        return faults.refuse(problem, as_json=as_json, facts=summary)
    if as_json:
        say_json(summary)
    return faults.EXIT_OK


def _say_demo(result: HeadlessResult, out: Path, summary: dict[str, JSON]) -> None:
    say(f"session   {result.session}  ({size_words(result.session.stat().st_size)})")
    say(f"          {summary['frames']} frames, {summary['steps']} looks, {summary['gaps']} gaps")
    if summary["picture"]:
        say(f"picture   {out / str(summary['picture'])}")
    say(f"summary   {out / 'summary.json'}")
    if summary["checkpoint_note"]:
        say(f"note      {summary['checkpoint_note']}")


def _picture_of_the_window(picture: Path) -> ConsoleError | None:
    """Draw the live window without a screen, in a process of its own. None, or why there is no picture."""
    command = [
        *program(), "demo", "--screenshot", str(picture), "--after", "6", "--size", "1920x1080",
    ]  # fmt: skip
    environ = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
    try:
        done = subprocess.run(
            command, env=environ, capture_output=True, text=True, timeout=PICTURE_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return DisplayError("The picture of the window could not be drawn.", "Run it again.", repr(error))
    if done.returncode == 0 and picture.is_file():
        return None
    return DisplayError("The picture of the window could not be drawn.", "Run it again.", done.stderr.strip())


def _note_of(checkpoint: Path) -> str:
    card = checkpoint.with_suffix(".card.json")
    if not card.exists():
        return ""
    notes = json.loads(card.read_text(encoding="utf-8")).get("notes", [])
    return "; ".join(str(note) for note in notes)
