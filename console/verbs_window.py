"""The verbs that open the window: none, `demo`, `live`, `replay`. Without a display, `demo` and `live` can run headless."""

from __future__ import annotations

import os
from argparse import Namespace

from console import environment
from console.config import Config
from console.verbs_common import DEMO_CHECKPOINT, DEMO_WORLD


def start(arguments: Namespace, config: Config) -> int:
    """The start screen, or what was named."""
    return _open_window(arguments, config, screen=arguments.screen or "start", path=arguments.open)


def live(arguments: Namespace, config: Config) -> int:
    """A source and, with a checkpoint, what it predicts."""
    if arguments.headless:
        from console.verbs_headless import live as live_headless

        return live_headless(arguments, config)
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


def replay(arguments: Namespace, config: Config) -> int:
    """A recorded session; with --recompute its drift table instead of a window."""
    if arguments.recompute:
        from console.verbs_batch import recompute

        return recompute(arguments, config)
    return _open_window(arguments, config, screen="replay", source=arguments.session)


def demo(arguments: Namespace, config: Config) -> int:
    """The embedded world and checkpoint; without a display the same headless, with a picture of the window."""
    is_offscreen = os.environ.get("QT_QPA_PLATFORM", "").split(":")[0] in environment.SCREENLESS
    if getattr(arguments, "screenshot", None) or (not is_offscreen and environment.is_display_available()):
        return _open_window(
            arguments, config, screen="live", source=DEMO_WORLD, checkpoint=str(DEMO_CHECKPOINT)
        )
    from console.verbs_headless import demo as demo_headless

    return demo_headless(arguments, config)


def _open_window(arguments: Namespace, config: Config, *, screen: str, **request: object) -> int:
    """`run_window` looks for a display itself, since a screenshot needs none."""
    from console.app import run_window
    from console.start_request import StartRequest

    return run_window(
        config,
        start=StartRequest(
            screen=screen,
            checkpoint_config=getattr(arguments, "config", None),
            screenshot=getattr(arguments, "screenshot", None),
            after_s=getattr(arguments, "after", 3.0),
            size=getattr(arguments, "size", None),
            **request,  # type: ignore[arg-type]
        ),
    )
