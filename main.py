#!/usr/bin/env python3
"""Parses arguments and hands over to one function per verb. Nothing else."""

from __future__ import annotations

import argparse
import multiprocessing
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

# verb → module:function. The function takes the parsed arguments and the settings and returns the exit status.
VERBS = {
    "": "console.verbs_window:start",
    "demo": "console.verbs_window:demo",
    "live": "console.verbs_window:live",
    "replay": "console.verbs_window:replay",
    "score": "console.verbs_batch:score",
    "checkpoint": "console.verbs_batch:checkpoint",
    "verify": "console.verbs_batch:verify",
    "recover": "console.verbs_batch:recover",
    "models": "console.verbs_models:models",
    "download": "console.verbs_models:fetch",
    "evaluate-world": "console.verbs_world:evaluate_world",
}

EPILOG = """exit status: 0 done; 1 a finding (a damaged or altered session, drift); 2 wrong use;
3 it could not be done (one sentence says why)."""


def parser() -> argparse.ArgumentParser:
    """The one command line of the program."""
    common, window = _common(), _window()
    top = _Parser(
        parents=[common, window],
        prog="main.py",
        description="See what a JEPA world model believes, while it happens and afterwards.",
        epilog=f"example:\n  main.py demo\n\n{EPILOG}",
    )
    top.set_defaults(verb="")
    top.add_argument(
        "--open",
        metavar="PATH",
        help="open the window on this, as if it were dropped there: a video, a session, a checkpoint",
    )
    top.add_argument(
        "--screen", choices=("start", "models", "released", "claims"), help="open the window on this screen"
    )
    verbs = top.add_subparsers(metavar="VERB", title="verbs", parser_class=_Parser)

    def add(name: str, text: str, example: str, *parents: _Parser) -> _Parser:
        verb = verbs.add_parser(
            name, parents=[common, *parents], help=text, description=text,
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
    demo.add_argument(
        "--seconds", type=_SECONDS, default=20.0, help="length of a headless demo (default: 20)"
    )

    live = add(
        "live", "Watch a video file, an image folder, a trajectory or a world through a checkpoint.",
        "live clip.mp4 --checkpoint vitl.pt --record sessions", window,
    )  # fmt: skip
    live.add_argument(
        "source",
        metavar="SOURCE",
        help="a video file, a folder of images, a trajectory (.npz), or world:cell?seed=1",
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
    live.add_argument("--seconds", type=_SECONDS, metavar="N", help="stop after this long")

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

    models = add("models", "The checkpoints on this machine and the released ones; with ID all that is known of one.",
                 "models vjepa2-vitl")  # fmt: skip
    models.add_argument("id", metavar="ID", nargs="?", help="of a released checkpoint")

    download = add("download", "Fetch a released checkpoint, or go on with it: resumed, checked, and never half there.",
                   "download vjepa2-hf-vitl")  # fmt: skip
    download.add_argument("id", metavar="ID", help="`main.py models` lists them")
    download.add_argument(
        "--to", metavar="DIR", type=Path, help="its folder is made there (default: models.downloads)"
    )
    measure = add(
        "evaluate-world", "The embedded world's own table of measures for a checkpoint, with intervals.",
        "evaluate-world cell --checkpoint assets/demo/cell.pt",
    )  # fmt: skip
    measure.add_argument("world", metavar="NAME", choices=("cell",), help="cell")
    measure.add_argument("--checkpoint", metavar="C", required=True)
    measure.add_argument("--scenes", type=_count, default=100, help="matched scenes per event (default: 100)")
    measure.add_argument("--world-seed", type=_count, default=9001, help="of the scenes (default: 9001)")
    measure.add_argument("--progress-lines", action="store_true", help=argparse.SUPPRESS)
    return top


class _Parser(argparse.ArgumentParser):
    """Says wrong use in one sentence and one hint; the usage of a verb with twenty options buries both."""

    def __init__(self, **fields: object) -> None:
        fields.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(allow_abbrev=False, **fields)  # type: ignore[arg-type]

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\nSee: {self.prog} --help\n")


def _number(least: float, text: str) -> Callable[[str], float]:
    """A number of at least this; NaN and infinity are none."""

    def parse(given: str) -> float:
        try:
            value = float(given)
        except ValueError:
            value = float("nan")
        if not least <= value < 1e9:
            raise argparse.ArgumentTypeError(f"{given!r} is not {text}")
        return value

    return parse


def _size(given: str) -> tuple[int, int]:
    width, _, height = given.lower().partition("x")
    if not (
        width.isdecimal() and height.isdecimal() and 0 < int(width) < 20_000 and 0 < int(height) < 20_000
    ):
        raise argparse.ArgumentTypeError(f"{given!r} is not a size such as 1280x720")
    return int(width), int(height)


def _count(given: str) -> int:
    if not (given.isdecimal() and 0 < int(given) < 1_000_000):
        raise argparse.ArgumentTypeError(f"{given!r} is not a whole number from 1 to 999999")
    return int(given)


_SECONDS = _number(0.1, "a number of seconds")


def _common() -> _Parser:
    common = _Parser(add_help=False)
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
    common.add_argument("--device", metavar="D", default=argparse.SUPPRESS, help="auto, cpu or cuda:N")
    common.add_argument(
        "--dtype",
        choices=("auto", "float32", "bfloat16", "float16"),
        default=argparse.SUPPRESS,
        help="of the model",
    )
    common.add_argument("--seed", type=int, metavar="N", default=argparse.SUPPRESS, help="of the masks")
    common.add_argument(
        "--clip-frames", type=int, metavar="N", default=argparse.SUPPRESS, help="frames per clip, at most"
    )
    common.add_argument(
        "--stride",
        type=int,
        metavar="N",
        default=argparse.SUPPRESS,
        help="source frames between looks, 0 = the tubelet",
    )
    common.add_argument(
        "--mask", choices=("future", "multiblock"), default=argparse.SUPPRESS, help="what is masked"
    )
    common.add_argument(
        "--predict-steps",
        type=int,
        metavar="N",
        default=argparse.SUPPRESS,
        help="future: newest time steps to predict",
    )
    common.add_argument(
        "--threads", type=int, metavar="N", default=argparse.SUPPRESS, help="torch threads, 0 = all cores"
    )
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


def _window() -> _Parser:
    window = _Parser(add_help=False)
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
        type=_number(0.0, "a number of seconds"),
        default=argparse.SUPPRESS,
        help="when to take it (default: 3)",
    )
    window.add_argument(
        "--size",
        metavar="WxH",
        type=_size,
        default=argparse.SUPPRESS,
        help="size of the window, logical pixels",
    )
    window.add_argument("--theme", choices=("dark", "light"), default=argparse.SUPPRESS)
    window.add_argument(
        "--zoom", type=float, default=argparse.SUPPRESS, help="size of everything, 1.0 = normal"
    )
    return window


def main(argv: list[str] | None = None) -> int:
    top = parser()
    arguments = top.parse_args(argv)
    if arguments.verb == "live" and arguments.headless and not (arguments.checkpoint and arguments.record):
        top.error("live --headless needs --checkpoint C and --record DIR")
    if arguments.verb and (arguments.open is not None or arguments.screen is not None):
        top.error(f"--open and --screen open the window by themselves, without {arguments.verb}")
    from console.verbs_common import run_verb  # not before: `--help` need not wait for it

    return run_verb(arguments, VERBS[arguments.verb])


if __name__ == "__main__":
    multiprocessing.freeze_support()
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # until a verb listens there is nothing to end in order
    sys.exit(main())
