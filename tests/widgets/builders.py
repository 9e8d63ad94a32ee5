"""Valid nouns for widget tests and galleries, so that a test shows only what matters to it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from jepa_core import catalogue
from jepa_core.catalogue import Identity
from jepa_core.library import LibraryEntry
from jepa_core.library_index import Known, Verdict
from jepa_core.types import (
    CheckpointInfo,
    Frame,
    Health,
    InputSpec,
    Inspection,
    LatentBasis,
    LatentView,
    LoadReport,
    MaskSet,
    SourceInfo,
    TokenLayout,
    frozen,
)


def make_frame(seq: int = 243_118, *, width: int = 640, height: int = 360, t_ns: int | None = None) -> Frame:
    """A smooth scene with a bright block, so that a lost or turned picture is seen at once."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    rgb = np.stack(
        [60 + 150 * x / width, 50 + 110 * y / height, 40 + 60 * (x + y) / (width + height)], axis=-1
    )
    rgb[int(height * 0.55) : int(height * 0.8), int(width * 0.1) : int(width * 0.25)] = (230, 80, 40)
    t = seq * 33_366_667 if t_ns is None else t_ns
    return Frame(seq, seq, t, t, 0, t, frozen(rgb.astype(np.uint8)), "video:bench.mp4")


def make_inspection(
    seq: int = 243_117,
    *,
    kind: str = "grid",
    rule: str = "multiblock",
    shape: tuple[int, int, int] = (8, 16, 16),
    crop: tuple[float, float, float, float] = (140.0, 0.0, 360.0, 360.0),
    t_ns: int | None = None,
) -> Inspection:
    """A look with a hill of error in the upper centre; `rule` "future" predicts the last two steps everywhere."""
    t, h, w = shape
    row, column = np.mgrid[0:h, 0:w].astype(np.float32)
    hill = np.exp(-(((row - h * 0.25) / 2.5) ** 2 + ((column - w * 0.55) / 2.5) ** 2))
    error = np.broadcast_to(0.08 + 0.9 * hill, shape).astype(np.float32).copy()
    hidden = _hidden(rule, shape)
    error[~hidden] = np.nan
    flat = hidden.reshape(-1)
    masks = MaskSet(
        frozen(np.flatnonzero(~flat).astype(np.int32)),
        (frozen(np.flatnonzero(flat).astype(np.int32)),),
        seed=3,
    )
    layout = TokenLayout(kind, shape, 2, crop)
    values = error.reshape(-1)
    return Inspection(
        seq=seq,
        t_ns=seq * 33_366_667 if t_ns is None else t_ns,
        clip=tuple(range(seq - 2 * t + 1, seq + 1)),
        layout=layout,
        masks=masks,
        error=frozen(values),
        metric="l1",
        signals={"surprise": 0.42, "surprise_top": 1.31, "frame_difference": 0.06},
        pooled=frozen(np.zeros((3, 8), np.float32)),
        colors=None,
        start_ns=0,
        end_ns=0,
        checkpoint="9c1e4f0a12b344b0:float32",
    )


BASIS = LatentBasis("3fa96c01be77", (0.41, 0.17, 0.09), 384, -1, (12, 12))


def make_seen(
    kind: str = "pca", *, layout: str = "grid", of: str = "target", rule: str = "future", **changes: object
) -> Inspection:
    """A look whose latents are shown: colours of a smooth scene, likeness to the upper left, attention of slot 2."""
    shape = {"grid": (8, 16, 16), "slots": (8, 4, 1), "global": (8, 1, 1)}[layout]
    look = make_inspection(kind=layout, rule=rule, shape=shape)
    n = look.layout.n_tokens
    level = np.arange(n, dtype=np.float32) % (n // 8) / max(n // 8 - 1, 1)  # 0 … 1 within each step
    colors = np.stack([255 * level, 255 * np.square(1 - level), 120 + 100 * np.sin(9 * level)], axis=1)
    view = LatentView(kind, of, at=(185.0, 60.0) if layout == "grid" else None)
    if layout == "slots":
        view = replace(view, slot=1)
        changes.setdefault("regions", make_regions())
        changes.setdefault("attention", ATTENTION)
    values: dict[str, object] = {"view": view}
    if kind == "pca":
        values |= {"colors": frozen(colors.astype(np.uint8)), "basis": BASIS}
    elif kind == "similarity":
        values["similarity"] = frozen((1 - 1.3 * level).astype(np.float32))
    return replace(look, **(values | changes))  # type: ignore[arg-type]


def make_regions() -> NDArray[np.float32]:
    """(4, 6, 6): a ground, an object in the upper left, one in the lower right, one in the middle of the right."""
    regions = np.zeros((4, 6, 6), np.float32)
    regions[1, :2, :3] = regions[2, 4:, 3:] = regions[3, 2:4, 4:] = 0.9
    regions[0] = 1 - regions.sum(axis=0)
    return frozen(regions)


def make_slots(**changes: object) -> Inspection:
    """A look of four slots, two of eight frames predicted: errors 0.2, 0.4, 0.8 and 1.4 in the newest."""
    look = make_inspection(kind="slots", rule="future", shape=(8, 4, 1))
    error = np.full((8, 4), np.nan, np.float32)
    error[6], error[7] = [0.1, 0.9, 0.3, 0.2], [0.2, 0.4, 0.8, 1.4]
    values: dict[str, object] = {
        "error": frozen(error.reshape(-1)), "metric": "l2", "regions": make_regions(), "attention": ATTENTION,
        "assignment": (0, 1, 2, 3),
    }  # fmt: skip
    return replace(look, **(values | changes))  # type: ignore[arg-type]


ATTENTION = frozen(
    np.array([[0.7, 0.1, 0.1, 0.1], [0.2, 0.55, 0.005, 0.245], [0.1, 0.2, 0.6, 0.1], [0.25] * 4], np.float32)
)


def _hidden(rule: str, shape: tuple[int, int, int]) -> NDArray[np.bool_]:
    _t, h, w = shape
    hidden = np.zeros(shape, bool)
    if rule == "future":
        hidden[-2:] = True
    elif rule == "multiblock":
        hidden[:, h // 8 : h // 2, w // 4 : w * 7 // 8] = True
        hidden[:, h * 5 // 8 : h * 7 // 8, w // 8 : w // 2] = True
    return hidden


def make_checkpoint(**changes: object) -> CheckpointInfo:
    sha = "9c1e4f0a12b344b0" + "0" * 44 + "44b0"
    values: dict[str, object] = {
        "id": f"{sha[:16]}:float32",
        "family": "V-JEPA 2",
        "variant": "ViT-L/16",
        "path": "/models/vitl.pt",
        "sha256": sha,
        "input": InputSpec(256, 64, 4.0, 2, 16),
        "action": None,
        "abilities": frozenset({"masked", "temporal"}),
        "parameters": 326_000_000,
        "embed_dim": 1024,
    }
    return CheckpointInfo(**(values | changes))  # type: ignore[arg-type]


def make_report(**changes: object) -> LoadReport:
    values: dict[str, object] = {
        "path": "/models/vitl.pt",
        "family": "V-JEPA 2",
        "variant": "ViT-L/16",
        "matched": 588,
        "sha256": "9c1e" + "0" * 56 + "44b0",
        "file_bytes": 1_300_000_000,
        "memory_bytes": 2_400_000_000,
    }
    return LoadReport(**(values | changes))  # type: ignore[arg-type]


def make_examined(**changes: object) -> LoadReport:
    """Of a file that was examined and not loaded: with forecasts, marks, and what was taken from elsewhere."""
    forecasts = {
        "256 px, 64 frames, float32": 6_300_000_000,
        "256 px, 16 frames, float32": 2_400_000_000,
        "192 px, 16 frames, float32": 1_900_000_000,
        "192 px, 8 frames, float32": 1_700_000_000,
        "256 px, 16 frames, bfloat16": 1_200_000_000,
    }
    values: dict[str, object] = {
        "sha256": make_checkpoint().sha256,
        "forecasts": forecasts,
        "device_free_bytes": 22_100_000_000,
        "marks": (
            "encoder.blocks.0.attn.qkv.weight and a 3-D patch embedding: a video transformer",
            "predictor.mask_tokens.0 … 9: the predictor of V-JEPA 2",
        ),
        "ignored": ("opt", "scaler", "epoch", "loss"),
        "assumed": {
            "positions": "rotary (all released V-JEPA 2 files are; their tables are stray)",
            "input size": "256 px (name of the file)",
            "encoder heads": "16 (table of released sizes, by width and depth)",
            "predictor heads": "12 (table of released sizes, by predictor width)",
            "mask token": "0 of 10: the rule where several are non-zero (norms 0.166, 0.16, 0.12, 0.11)",
        },
    }
    return make_report(**(values | changes))


def make_long_report() -> LoadReport:
    """Refused, with 144 names: half a predictor is missing."""
    parts = (
        "norm1.weight", "norm1.bias", "attn.qkv.weight", "attn.qkv.bias", "attn.proj.weight", "attn.proj.bias",
        "norm2.weight", "norm2.bias", "mlp.fc1.weight", "mlp.fc1.bias", "mlp.fc2.weight", "mlp.fc2.bias",
    )  # fmt: skip
    names = tuple(f"predictor/blocks.{n}.{part}" for n in range(12, 24) for part in parts)
    shapes = ("encoder/pos_embed: expected (1, 2048, 1024), file has (1, 1568, 1024)",)
    return make_examined(matched=444, missing=names, reshaped=shapes, unexpected=("head.weight", "head.bias"))


def make_library() -> list[LibraryEntry]:
    """Four checkpoints: examined and good, refused, a download nobody examined, and one nobody knows."""
    when = 1_763_900_000_000_000_000
    good = Verdict(True, "V-JEPA 2", "ViT-L/16", "", "9c1e" * 16, ("masked", "temporal"), 326_000_000, when)
    bad = Verdict(
        False,
        "V-JEPA 2",
        "ViT-L/16",
        "half.pt is not exactly a V-JEPA 2 ViT-L/16: 144 missing.",
        "44b0" * 16,
        wall_ns=when,
    )
    released = catalogue.released().entries[-1]
    came = Known(72_000_000, when, "beef" * 16, "sha256", "https://example.org/weights.pt")

    def entry(path: str, n_bytes: int, known: Known | None, identity: Identity | None = None) -> LibraryEntry:
        kind = "file" if path.endswith(".pt") else "folder"
        return LibraryEntry(Path(path), kind, n_bytes, when, identity or Identity(), known)

    text = f"This is the released file of {released.name}: its sha256 is the one the hub announces."
    return [
        entry("/data/models/vitl.pt", 5_100_000_000, Known(1, 1, verdict=good)),
        entry("/data/models/half.pt", 4_100_000_000, Known(1, 1, "44b0" * 16, verdict=bad)),
        entry(
            f"/home/ada/.local/share/jepa-console/models/{released.id}", 72_000_000, came,
            Identity(released, released.main_file, "sha256", text),
        ),
        entry("/data/models/run3/latest.pt", 1_300_000_000, None),
    ]  # fmt: skip


def make_source(*, is_live: bool = False) -> SourceInfo:
    return SourceInfo(
        "video:bench camera, front.mp4",
        "video",
        1920,
        1080,
        29.97,
        300,
        is_live,
        not is_live,
        {"codec": "h264"},
    )


def make_health() -> Health:
    ms = 1_000_000
    return Health(
        ages_ns={"shown": (38 * ms, 46 * ms), "model": (121 * ms, 160 * ms), "overlay": (130 * ms, 171 * ms)},
        rates={"capture": 30.0, "model": 14.6, "shown": 30.0},
        skipped={"model": 214, "shown": 0},
        gaps=0,
        queue_bytes=12_000_000,
        disk_free=812_000_000_000,
        device_bytes=2_400_000_000,
        seq=243_118,
        synced_age_ns=400 * ms,
        disk_seconds=147_132.0,
    )
