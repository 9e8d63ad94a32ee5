"""Make the pictures of the README and the guides: the program itself, photographed by its own `--screenshot`.

Run from the repository's root as `.venv/bin/python docs/make_pictures.py`; `--only live-dark` makes those whose name
begins so. Every state is shown in both themes, most in three sizes. Needs no display. Uses nothing of the program but its
command line, and leaves nothing behind but docs/pictures.
"""

from __future__ import annotations

import argparse
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[1]
PICTURES = ROOT / "docs" / "pictures"
CHECKPOINT = ROOT / "assets" / "demo" / "cell.pt"
CASES = ROOT / "tests" / "golden" / "cases"
WORLD = "world:cell?seed=7"
RECORDED = "world:cell?seed=7&frames=240"
TOTAL_BYTES = 8_000_000
DEADLINE_S = 120.0


@dataclass(frozen=True)
class Size:
    """A window, and what its pictures are called."""

    suffix: str
    pixels: str
    zoom: float = 1.0


FULL = Size("", "1920x1080")
SMALL = Size("-720", "1280x720")
LARGE = Size("-zoom150", "1920x1080", 1.5)
SIZES = (FULL, SMALL, LARGE)


@dataclass(frozen=True)
class State:
    """What the window is opened with, and how long until it is worth a picture."""

    name: str
    words: tuple[str, ...]
    after_s: float
    sizes: tuple[Size, ...] = SIZES


THEMES = ("dark", "light")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", metavar="NAME", help="only pictures whose name begins so")
    only = parser.parse_args().only
    PICTURES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="pictures-") as folder:
        home = Path(folder)
        wanted = only.partition("-")[0]
        for state in states(
            home, has_session="replay".startswith(wanted), has_systems="system".startswith(wanted)
        ):
            for theme in THEMES:
                for size in state.sizes:
                    name = f"{state.name}-{theme}{size.suffix}"
                    if name.startswith(only):
                        photograph(state, theme, size, PICTURES / f"{name}.png", home)
    total = sum(path.stat().st_size for path in PICTURES.glob("*.png"))
    say(f"{len(list(PICTURES.glob('*.png')))} pictures, {total / 1e6:.1f} MB")
    if total > TOTAL_BYTES:
        say(f"That is more than {TOTAL_BYTES / 1e6:.0f} MB.")
    return int(total > TOTAL_BYTES)


def states(home: Path, *, has_session: bool, has_systems: bool) -> list[State]:
    """Every screen as a person would open it. The sheets come before the library, which remembers what they found."""
    models = model_folder(home)
    found = [
        State("start", (), 3.0),
        State("sheet", ("--open", str(models / "cell.pt")), 15.0),
        State("refused", ("--open", str(models / "half.pt")), 15.0, (FULL, SMALL)),
        State("models", ("--screen", "models"), 3.0),
        State("released", ("--screen", "released"), 3.0, (FULL,)),
        State("claims", ("--screen", "claims"), 3.0, (FULL, SMALL)),
        State("live", ("live", WORLD, "--checkpoint", str(CHECKPOINT)), 5.0),
        State(
            "latents",
            ("live", WORLD, "--checkpoint", str(CHECKPOINT), "--settings", str(latents_settings(home))),
            14.0,
        ),
        State(
            "error",
            ("live", WORLD, "--checkpoint", str(CHECKPOINT), "--config", str(wrong_config(home))),
            5.0,
        ),
    ]
    if has_session:
        found.append(State("replay", ("replay", str(recorded_session(home))), 7.0))
    return found + (systems(home) if has_systems else [])


def systems(home: Path) -> list[State]:
    """Every system live, with tiny random weights."""
    made = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "tiny_systems.py"), str(home / "systems")],
        check=True,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
    )
    lines = [line.split("\t") for line in made.stdout.splitlines()]
    return [
        State(f"system-{name}", ("live", source, "--checkpoint", checkpoint), 9.0, (SMALL,))
        for name, checkpoint, source in lines
    ]


def model_folder(home: Path) -> Path:
    """Where the library looks: the demo checkpoint, one of its predictor's blocks lost in a copy, and two test cases."""
    folder = home / "jepa-models"
    folder.mkdir(exist_ok=True)
    for name in ("cell.pt", "cell.params.yaml", "cell.card.json"):
        shutil.copy(CHECKPOINT.with_name(name), folder / name)
    content = torch.load(CHECKPOINT, weights_only=True)
    content["predictor"] = {
        name: tensor for name, tensor in content["predictor"].items() if "predictor_blocks.1." not in name
    }
    torch.save(content, folder / "half.pt")
    shutil.copy(folder / "cell.params.yaml", folder / "half.params.yaml")
    for case in ("lewm-hub", "hf-vjepa2-a"):
        shutil.copytree(CASES / case, folder / case, dirs_exist_ok=True)
    return folder


def wrong_config(home: Path) -> Path:
    """The demo checkpoint's own config with twice the predictor blocks: the gate must refuse the file."""
    text = CHECKPOINT.with_suffix(".params.yaml").read_text("utf-8")
    path = home / "six_blocks.params.yaml"
    path.write_text(text.replace("pred_depth: 3", "pred_depth: 6"), "utf-8")
    return path


def latents_settings(home: Path) -> Path:
    """Begin with the latents as colours instead of the error."""
    path = home / "latents.toml"
    path.write_text('[look]\nlayers = ["projection", "masks"]\n', "utf-8")
    return path


def recorded_session(home: Path) -> Path:
    """A session of the embedded world, made by `score`."""
    out = home / "sessions"
    run(home, "score", RECORDED, "--checkpoint", str(CHECKPOINT), "--out", str(out))
    return next(out.glob("*.h5"))


def photograph(state: State, theme: str, size: Size, path: Path, home: Path) -> None:
    options = (
        "--theme",
        theme,
        "--size",
        size.pixels,
        "--zoom",
        str(size.zoom),
        "--after",
        str(state.after_s),
    )
    run(home, *state.words, *options, "--screenshot", str(path))
    shrink(path)
    say(f"{path.relative_to(ROOT)}  {path.stat().st_size / 1e3:.0f} kB")


def run(home: Path, *words: str) -> None:
    """`main.py` with a person's folders of its own, so that no picture shows the files of whoever made it."""
    folders = {f"XDG_{kind}_HOME": str(home / kind.lower()) for kind in ("CONFIG", "DATA", "STATE", "CACHE")}
    environment = {**os.environ, **folders, "HOME": str(home), "QT_QPA_PLATFORM": "offscreen"}
    subprocess.run(
        [sys.executable, str(ROOT / "main.py"), *words],
        cwd=ROOT,
        env=environment,
        check=True,
        timeout=DEADLINE_S,
        stdout=subprocess.DEVNULL,
    )


def shrink(path: Path) -> None:
    """The same picture in 256 colours of its own, as a palette PNG: a third of the bytes, and text stays sharp."""
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)[:, :, ::-1]  # (H, W, 3) uint8, RGB
    colors = _palette(picture)
    steps = (np.arange(64) * 255 / 63).astype(np.float32)  # every colour of the cube, six bits a channel
    cube = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    nearest = np.concatenate([_nearest(part, colors) for part in np.array_split(cube, 16)])
    r, g, b = (picture >> 2).astype(np.int64).transpose(2, 0, 1)
    path.write_bytes(_png(nearest[(r * 64 + g) * 64 + b].astype(np.uint8), colors))


def _palette(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """256 colours, (256, 3): the commonest as they are, so that flat areas keep theirs; the rest by k-means, half of
    whose votes are one per colour, so that a small gradient keeps its steps too."""
    flat = picture.reshape(-1, 3)
    seen, counts = np.unique(flat, axis=0, return_counts=True)
    common = seen[np.argsort(counts)[::-1][:64]]
    votes = [each[:: max(1, len(each) // 30_000)] for each in (flat, seen)]
    sample = np.concatenate(votes).astype(np.float32)
    cv2.setRNGSeed(1)
    stop = (cv2.TERM_CRITERIA_MAX_ITER, 12, 0.0)
    _, _, centres = cv2.kmeans(sample, 256 - len(common), None, stop, 1, cv2.KMEANS_PP_CENTERS)
    return np.concatenate([common, np.rint(centres).astype(np.uint8)])


def _nearest(some: NDArray[np.float32], colors: NDArray[np.uint8]) -> NDArray[np.int64]:
    distance = ((some[:, None, :] - colors[None].astype(np.float32)) ** 2).sum(-1)  # (n, 256)
    return distance.argmin(-1)


def _png(indices: NDArray[np.uint8], colors: NDArray[np.uint8]) -> bytes:
    """A palette PNG (PNG specification, colour type 3), which cv2 reads but does not write."""
    height, width = indices.shape

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    rows = np.concatenate([np.zeros((height, 1), np.uint8), indices], axis=1)  # filter 0 before every row
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
            chunk(b"PLTE", colors.tobytes()),
            chunk(b"IDAT", zlib.compress(rows.tobytes(), 9)),
            chunk(b"IEND", b""),
        )
    )


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
