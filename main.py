#!/usr/bin/env python3
"""Parses arguments and hands over to one function per verb. Nothing else."""

from __future__ import annotations

import argparse
import importlib
import json
import multiprocessing
import sys
from pathlib import Path

from jepa_core.errors import ConsoleError

# verb → module:function. The function takes the parsed arguments and returns the exit status.
VERBS = {
    "": "console.verbs_window:start",
    "demo": "console.verbs_window:demo",
    "live": "console.verbs_window:live",
    "replay": "console.verbs_window:replay",
    "score": "console.verbs_batch:score",
    "checkpoint": "console.verbs_batch:checkpoint",
    "verify": "console.verbs_batch:verify",
    "recover": "console.verbs_batch:recover",
}

EPILOG = """exit status: 0 done; 1 a finding (a damaged or altered session, drift); 2 wrong use;
3 it could not be done (one sentence says why)."""


def parser() -> argparse.ArgumentParser:
    """The one command line of the program."""
    common = _common()
    window = _window()
    top = _verb_parser(argparse.ArgumentParser, parents=[common, window], prog="main.py", description=__doc__)
    top.description = "See what a JEPA world model believes, while it happens and afterwards."
    top.set_defaults(verb="")
    verbs = top.add_subparsers(metavar="VERB", title="verbs")

    def add(name: str, text: str, example: str, *parents: argparse.ArgumentParser) -> argparse.ArgumentParser:
        verb = _verb_parser(
            verbs.add_parser, name, parents=[common, *parents], help=text, description=text,
            epilog=f"example:\n  main.py {example}\n\n{EPILOG}",
        )  # fmt: skip
        verb.set_defaults(verb=name)
        return verb

    demo = add(
        "demo",
        "The embedded world and its checkpoint, in a window or, without a display, headless.",
        "demo",
        window,
    )
    demo.add_argument(
        "--out",
        type=Path,
        default=Path("demo-output"),
        help="folder of a headless demo (default: ./demo-output)",
    )
    demo.add_argument("--seconds", type=float, default=20.0, help="length of a headless demo (default: 20)")

    live = add(
        "live", "Watch a video file, an image folder or a world through a checkpoint.",
        "live clip.mp4 --checkpoint vitl.pt --record sessions", window,
    )  # fmt: skip
    live.add_argument(
        "source", metavar="SOURCE", help="a video file, a folder of images, or world:cell?seed=1"
    )
    live.add_argument("--checkpoint", metavar="C", help="a checkpoint file or a Hugging Face folder")
    live.add_argument(
        "--record", metavar="DIR", type=Path, help="record a session there from the first frame on"
    )
    live.add_argument(
        "--every-frame", action="store_true", help="the clock waits until the model saw every frame"
    )
    live.add_argument(
        "--headless", action="store_true", help="without a window; needs --checkpoint and --record"
    )
    live.add_argument("--seconds", type=float, help="stop after this long")

    score = add(
        "score", "Every frame of a source through a checkpoint, without a window, into a sealed session file.",
        "score clip.mp4 --checkpoint vitl.pt --out sessions",
    )  # fmt: skip
    score.add_argument("source", metavar="SOURCE")
    score.add_argument("--checkpoint", metavar="C", required=True)
    score.add_argument("--out", metavar="DIR", type=Path, required=True)

    replay = add("replay", "Open a recorded session; with --recompute compare it with a checkpoint, without a window.",
                 "replay 20261122T114407Z-5be1f00a.h5 --recompute --checkpoint vitl.pt", window)  # fmt: skip
    replay.add_argument("session", metavar="SESSION", help="a sealed .h5 or an unfinished .wmj")
    replay.add_argument(
        "--recompute", action="store_true", help="print how far a recomputation drifts from the record"
    )
    replay.add_argument("--checkpoint", metavar="C", help="default: the checkpoint named in the session")
    replay.add_argument("--progress-lines", action="store_true", help=argparse.SUPPRESS)

    checkpoint = add("checkpoint", "The load report of a checkpoint: what it is, tensor by tensor, and what it needs.",
                     "checkpoint vitl.pt")  # fmt: skip
    checkpoint.add_argument("checkpoint", metavar="C")

    verify = add("verify", "Check sessions for damage and alteration.", "verify sessions/*.h5")
    verify.add_argument("sessions", metavar="SESSION", nargs="+")

    recover = add("recover", "Make sessions of the journals a crash left behind.", "recover sessions/*.wmj")
    recover.add_argument("journals", metavar="JOURNAL", nargs="+")
    return top


def _verb_parser(make: type | object, *args: object, **fields: object) -> argparse.ArgumentParser:
    fields.setdefault("epilog", EPILOG)
    return make(*args, formatter_class=argparse.RawDescriptionHelpFormatter, **fields)  # type: ignore[operator,no-any-return]


def _common() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--config",
        metavar="FILE",
        default=argparse.SUPPRESS,
        help="params.yaml or config.json of the checkpoint, when it does not lie beside it",
    )
    common.add_argument(
        "--settings",
        metavar="FILE",
        type=Path,
        default=argparse.SUPPRESS,
        help="a TOML file with settings of yours",
    )
    common.add_argument("--device", default=argparse.SUPPRESS, help="auto, cpu or cuda:N")
    common.add_argument("--dtype", default=argparse.SUPPRESS, help="auto, float32, bfloat16 or float16")
    common.add_argument("--seed", type=int, default=argparse.SUPPRESS, help="of the masks")
    common.add_argument("--clip-frames", type=int, default=argparse.SUPPRESS, help="frames per clip, at most")
    common.add_argument(
        "--stride", type=int, default=argparse.SUPPRESS, help="source frames between looks, 0 = the tubelet"
    )
    common.add_argument(
        "--mask", choices=("future", "multiblock"), default=argparse.SUPPRESS, help="what is masked"
    )
    common.add_argument(
        "--predict-steps", type=int, default=argparse.SUPPRESS, help="future: newest time steps to predict"
    )
    common.add_argument("--threads", type=int, default=argparse.SUPPRESS, help="torch threads, 0 = all cores")
    common.add_argument(
        "--print-config",
        action="store_true",
        default=argparse.SUPPRESS,
        help="print every setting and where it comes from",
    )
    common.add_argument(
        "--json", action="store_true", default=argparse.SUPPRESS, help="one JSON object on stdout"
    )
    return common


def _window() -> argparse.ArgumentParser:
    window = argparse.ArgumentParser(add_help=False)
    window.add_argument(
        "--screenshot",
        metavar="FILE",
        type=Path,
        default=argparse.SUPPRESS,
        help="save a picture of the window and exit",
    )
    window.add_argument(
        "--after",
        metavar="SECONDS",
        type=float,
        default=argparse.SUPPRESS,
        help="when to take it (default: 3)",
    )
    window.add_argument(
        "--size", metavar="WxH", default=argparse.SUPPRESS, help="size of the window, logical pixels"
    )
    window.add_argument("--theme", choices=("dark", "light"), default=argparse.SUPPRESS)
    window.add_argument(
        "--zoom", type=float, default=argparse.SUPPRESS, help="size of everything, 1.0 = normal"
    )
    return window


def main(argv: list[str] | None = None) -> int:
    arguments = parser().parse_args(argv)
    module, function = VERBS[arguments.verb].split(":")
    try:
        return int(getattr(importlib.import_module(module), function)(arguments))
    except ConsoleError as error:
        return _refuse(error, getattr(arguments, "json", False))
    except KeyboardInterrupt:
        sys.stderr.write("Stopped.\n")
        return 130


def _refuse(error: ConsoleError, as_json: bool) -> int:
    """One sentence and one hint; never a traceback."""
    if as_json:
        sys.stdout.write(json.dumps({"error": error.code, "what": error.what, "hint": error.hint}) + "\n")
    sys.stderr.write(f"{error.what}\n")
    if error.hint:
        sys.stderr.write(f"{error.hint}\n")
    return 3


if __name__ == "__main__":
    multiprocessing.freeze_support()
    sys.exit(main())
