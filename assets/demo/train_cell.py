"""Train the cell checkpoint: a V-JEPA 2 of demo size on nominal scenes of the embedded world.

`python -m assets.demo.train_cell --out FOLDER` on a CPU or a GPU; stops cleanly on Ctrl+C and goes on where it stopped.
The recipe is `RECIPE`, three stages after specs/demo-world.md; its hash stands in the card. Where it deviates from the
published training (a teacher frozen half-way, a weight on moving tokens, a weak variance and covariance term, Muon) the card says
so. Runs on jepa_core's own modules, so what it writes is an ordinary checkpoint of the official layout.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import json
import math
import signal
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from assets.demo import cell_layout as layout
from assets.demo.cell_data import CLIP_FRAMES, SCENE_FRAMES, SIZE, Scenes, make_scenes
from jepa_core.latents import normalise_target
from jepa_core.masks import make_masks
from jepa_core.nn.predictor import Predictor
from jepa_core.nn.vit import VisionTransformer
from jepa_core.preprocess import normalise_tensor
from jepa_core.types import MaskRule, TokenLayout

GRID = (6, 8, 8)
PER_STEP = GRID[1] * GRID[2]


@dataclass(frozen=True, slots=True)
class Stage:
    """One leg of the training, with a learning-rate schedule of its own."""

    clips: int
    batch: int
    peak: float  # learning rate of AdamW
    moving: float  # loss weight of tokens that a moving piece touches: 1 + this
    future: float  # share of future masks; the rest are tubes as in the published training
    teacher: tuple[float, float] | None  # momentum of the averaged teacher, from … to; None: frozen
    spread: float = 0.0  # weight of the variance and covariance term on the encoder's output
    muon: float = 0.0  # learning rate of Muon for the block matrices; 0: AdamW for all


@dataclass(frozen=True, slots=True)
class Recipe:
    seed: int = 1
    scenes: int = 2400
    warmup: float = 0.05  # share of a stage
    weight_decay: float = 0.04
    clip_norm: float = 1.0
    stages: tuple[Stage, ...] = (
        Stage(10_000, 8, 1e-3, 4.0, 0.70, (0.99, 0.998)),
        Stage(6_000, 8, 8e-4, 4.0, 0.70, (0.998, 0.9995), spread=0.02),
        Stage(12_000, 4, 8e-4, 6.0, 0.85, None, muon=0.01),
    )

    @property
    def hash(self) -> str:
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]


RECIPE = Recipe()


class Training:
    """Encoder, its teacher and the predictor, with everything that must survive a pause."""

    def __init__(self, recipe: Recipe, device: torch.device) -> None:
        self.recipe = recipe
        self.device = device
        encoder, predictor = layout.fresh_modules(recipe.seed)
        self.encoder: VisionTransformer = encoder.to(device).requires_grad_(True)
        self.predictor: Predictor = predictor.to(device).requires_grad_(True)
        self.teacher = copy.deepcopy(self.encoder).requires_grad_(False)
        self.stage, self.step = 0, 0  # step within the stage
        self.curve: list[tuple[int, float, float]] = []  # clips seen, loss, error on moving tokens
        self.clips = 0
        self.seconds = 0.0
        self.optimizers = self._optimizers()

    @property
    def is_done(self) -> bool:
        return self.stage >= len(self.recipe.stages)

    def train_step(self, scenes: Scenes) -> tuple[float, float]:
        """One batch → loss, L1 error on moving tokens."""
        stage = self.recipe.stages[self.stage]
        draw = np.random.default_rng([self.recipe.seed, self.stage, self.step])
        scene = draw.integers(0, len(scenes.crops), stage.batch)
        start = draw.integers(0, SCENE_FRAMES - CLIP_FRAMES + 1, stage.batch)
        clip = self._clip(scenes.clips(scene, start))
        context, target = _masks(draw, stage.future)
        moving = torch.from_numpy(scenes.moving_tokens(scene, start)[:, target]).to(self.device)  # (B, Nt)
        context_t, target_t = (torch.from_numpy(part).to(self.device) for part in (context, target))
        last = int(max(context.max(), target.max())) // PER_STEP + 1
        clip = clip[:, :, : last * 2]  # steps that are neither context nor target need no encoding
        with torch.no_grad():
            wanted = normalise_target(self.teacher(clip))[:, target_t]
        latents = self.encoder(clip, context_t)
        grid = (last, *GRID[1:])
        predicted = self.predictor(latents, context_t, target_t, grid=grid, mask_token=0)
        error = (predicted - wanted).abs().mean(-1)  # (B, Nt)
        weight = 1.0 + stage.moving * moving
        loss = (error * weight).sum() / weight.sum()
        if stage.spread:
            loss = loss + stage.spread * _spread_loss(latents)
        rate = self._rate(stage)
        self._update(loss, stage, rate)
        self.step += 1
        self.clips += stage.batch
        on_moving = float(error.detach()[moving].mean()) if bool(moving.any()) else math.nan
        if self.step * stage.batch >= stage.clips:
            self.stage, self.step = self.stage + 1, 0
            if not self.is_done:
                self.optimizers = self._optimizers()
        return float(loss.detach()), on_moving

    def _update(self, loss: Tensor, stage: Stage, rate: float) -> None:
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self._parameters(), self.recipe.clip_norm)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * rate
            optimizer.step()
        if stage.teacher is not None:
            low, high = stage.teacher
            done = self.step * stage.batch / stage.clips
            momentum = low + (high - low) * done
            with torch.no_grad():
                for mine, theirs in zip(self.teacher.parameters(), self.encoder.parameters(), strict=True):
                    mine.lerp_(theirs, 1.0 - momentum)

    def _clip(self, crops: np.ndarray) -> Tensor:
        """(B, T, S, S, 3) uint8 → (B, 3, T, S, S)"""
        pixels = torch.from_numpy(crops).to(self.device).permute(0, 4, 1, 2, 3)
        return normalise_tensor(pixels, axis=1)

    def _rate(self, stage: Stage) -> float:
        """Warm-up, then a cosine to a hundredth, 0..1."""
        done = self.step * stage.batch / stage.clips
        warm = self.recipe.warmup
        if done < warm:
            return (done + 1e-3) / warm
        return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (done - warm) / (1 - warm)))

    def _parameters(self) -> Iterator[nn.Parameter]:
        yield from self.encoder.parameters()
        yield from self.predictor.parameters()

    def _optimizers(self) -> list[torch.optim.Optimizer]:
        stage = self.recipe.stages[self.stage]
        matrices = [
            p for module in (self.encoder.blocks, self.predictor.predictor_blocks) for p in module.parameters() if p.ndim == 2
        ] if stage.muon else []  # fmt: skip
        taken = {id(p) for p in matrices}
        rest = [p for p in self._parameters() if id(p) not in taken]
        decayed, plain = [p for p in rest if p.ndim > 1], [p for p in rest if p.ndim <= 1]
        groups: list[dict[str, Any]] = [
            {"params": decayed, "weight_decay": self.recipe.weight_decay, "peak": stage.peak},
            {"params": plain, "weight_decay": 0.0, "peak": stage.peak},
        ]
        made: list[torch.optim.Optimizer] = [torch.optim.AdamW(groups, lr=stage.peak, betas=(0.9, 0.98))]
        if matrices:
            made.append(
                torch.optim.Muon(
                    [{"params": matrices, "peak": stage.muon}], lr=stage.muon, weight_decay=self.recipe.weight_decay
                )
            )  # fmt: skip
        return made

    # --- pause and resume --------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        return {
            "recipe": self.recipe.hash,
            "encoder": self.encoder.state_dict(),
            "teacher": self.teacher.state_dict(),
            "predictor": self.predictor.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "at": [self.stage, self.step, self.clips],
            "seconds": self.seconds,
            "curve": [list(point) for point in self.curve],
        }

    def resume(self, state: dict[str, Any]) -> None:
        """Go on exactly where `state` was taken. Raises ValueError for another recipe's."""
        if state["recipe"] != self.recipe.hash:
            raise ValueError(f"the pause file belongs to recipe {state['recipe']}, not {self.recipe.hash}")
        self.stage, self.step, self.clips = state["at"]
        for module, part in (
            (self.encoder, "encoder"),
            (self.teacher, "teacher"),
            (self.predictor, "predictor"),
        ):
            module.load_state_dict(state[part])
        if not self.is_done:
            self.optimizers = self._optimizers()
            for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
                optimizer.load_state_dict(saved)
        self.seconds = state["seconds"]
        self.curve = [(int(clips), loss, moving) for clips, loss, moving in state["curve"]]


def _masks(draw: np.random.Generator, future: float) -> tuple[np.ndarray, np.ndarray]:
    """(context, target) token numbers of one batch.

    Future masks are what the console shows: 2 to 5 steps seen, the next two (or one) asked for, most often 4 and 2.
    """
    if draw.random() < future:
        seen = 4 if draw.random() < 0.5 else int(draw.integers(2, 6))
        asked = min(2, GRID[0] - seen)
        tokens = np.arange((seen + asked) * PER_STEP)
        return tokens[: seen * PER_STEP], tokens[seen * PER_STEP :]
    kind = "short" if draw.random() < 0.5 else "long"
    masks = make_masks(
        MaskRule("multiblock", generator=kind, seed=int(draw.integers(2**31))),
        TokenLayout("grid", GRID, 2, (0.0, 0.0, float(SIZE), float(SIZE))),
        0,
    )
    return masks.context.astype(np.int64), masks.targets[0].astype(np.int64)


def _spread_loss(latents: Tensor) -> Tensor:
    """Each feature should vary and no two alike: hinge on the deviation plus mean squared covariance, over all tokens."""
    flat = latents.flatten(0, 1)
    flat = flat - flat.mean(0)
    deviation = (flat.var(0) + 1e-4).sqrt()
    covariance = flat.T @ flat / (len(flat) - 1)
    off = covariance - torch.diag(covariance.diagonal())
    return F.relu(1.0 - deviation).mean() + off.square().sum() / flat.shape[1]


def train(recipe: Recipe, out: Path, device: torch.device, *, scenes: Scenes | None = None) -> Training:
    """Train to the end, or until Ctrl+C; the pause file in `out` is what the next call goes on from."""
    out.mkdir(parents=True, exist_ok=True)
    pause = out / "cell.pause.pt"
    training = Training(recipe, device)
    if pause.exists():
        training.resume(torch.load(pause, weights_only=True))
        print(f"going on after {training.clips} clips")
    if scenes is None:
        scenes = make_scenes(
            recipe.scenes, recipe.seed, lambda share, text: print(f"\r{share:4.0%} {text}", end="")
        )
        print()
    total = sum(stage.clips for stage in recipe.stages)
    stopping = []
    before = signal.signal(signal.SIGINT, lambda *_: stopping.append(True))
    recent: list[tuple[float, float]] = []
    try:
        while not training.is_done and not stopping:
            began = time.perf_counter()
            recent.append(training.train_step(scenes))
            training.seconds += time.perf_counter() - began
            if len(recent) == 100 or training.is_done:
                loss, moving = (float(np.nanmean(part)) for part in zip(*recent, strict=True))
                training.curve.append((training.clips, loss, moving))
                recent.clear()
                print(
                    f"{training.clips:6d}/{total} clips, stage {training.stage + 1}, loss {loss:.4f}, "
                    f"moving {moving:.4f}, {training.seconds:.0f} s",
                    flush=True,
                )
            if training.step % 500 == 0:
                torch.save(training.state(), pause)
    finally:
        signal.signal(signal.SIGINT, before)
        torch.save(training.state(), pause)
    return training


def main() -> None:
    parser = argparse.ArgumentParser(description="train the cell checkpoint of the embedded world")
    parser.add_argument(
        "--out", type=Path, required=True, help="folder for the checkpoint, its card and the pause file"
    )
    parser.add_argument("--seed", type=int, default=RECIPE.seed)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=1, help="of the CPU")
    wanted = parser.parse_args()
    torch.set_num_threads(wanted.threads)
    recipe = Recipe(seed=wanted.seed)
    training = train(recipe, wanted.out, torch.device(wanted.device))
    if training.is_done:
        layout.write_trained(
            wanted.out, training.encoder, training.teacher, training.predictor,
            seed=recipe.seed, recipe=asdict(recipe), recipe_hash=recipe.hash, clips=training.clips,
            seconds=training.seconds, device=str(training.device), curve=training.curve,
        )  # fmt: skip
        print(f"written to {wanted.out}")
    else:
        print("paused; the same command goes on")


if __name__ == "__main__":
    main()
