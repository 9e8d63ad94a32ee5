"""ScriptedModel: a checkpoint with known answers, a known speed and known accidents.

It implements JepaModel. Token n of a clip is predicted with an error of exactly `0.25 + n / 256` in every feature,
and its target latent is the mean level of its time step, so that results tell which frames were seen. Through
`load_scripted` an engine process can host it: the "path" is `scripted:?delay_ms=200&crash_at=3`.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

import torch
from torch import Tensor

from jepa_core.clock import CancelToken
from jepa_core.errors import KeysDiffer, NotAble
from jepa_core.families.base import Memory, Motion, Prediction, Progress
from jepa_core.ladder import sizes_below
from jepa_core.messages import ExamineCheckpoint, LoadCheckpoint
from jepa_core.types import ActionSpec, CheckpointInfo, InputSpec, LoadReport, MaskSet

LOADER = "tests.helpers.models:load_scripted"
D = 4


class ScriptedModel:
    """`delay_ms` before every prediction; at look number …_at (from 0) one accident."""

    def __init__(
        self,
        *,
        delay_ms: float = 0.0,
        nan_at: int = -1,
        fail_at: int = -1,
        crash_at: int = -1,
        before: Callable[[], None] | None = None,
        path: str = "scripted:",
        size: int = 32,
        frames: int = 8,
        fps: float = 10.0,
        tubelet: int = 2,
        action: int = 0,
        has_predictor: bool = True,
        resizes: bool = False,
    ) -> None:
        """`resizes`: it can be shown other sizes. `action`: numbers of an action block; it then tells in `motions` what it was given. `before` is called first in every prediction: a test blocks there to make the model as slow as it likes."""
        self.looks = 0
        self.motions: list[Motion | None] = []
        self._has_predictor = has_predictor
        self._delay_s = delay_ms / 1e3
        self._nan_at, self._fail_at, self._crash_at = nan_at, fail_at, crash_at
        self._before = before
        spec = InputSpec(size=size, frames=frames, fps=fps, tubelet=tubelet, patch=16)
        self.info = CheckpointInfo(
            id="00000000scripted:float32",
            family="Scripted",
            variant="known answers",
            path=path,
            sha256="0" * 64,
            input=spec,
            action=_action_spec(action),
            abilities=frozenset({"masked", "temporal"} if has_predictor else {"temporal"}),
            embed_dim=D,
            sizes=sizes_below(size, 16) if resizes else (),
        )
        self.report = LoadReport("scripted:", "Scripted", "known answers", matched=1)

    @classmethod
    def recognises(cls, keys: frozenset[str], config: Mapping[str, object]) -> bool:
        return "scripted" in keys

    def grid(self, n_frames: int) -> tuple[int, int, int]:
        side = self.info.input.size // self.info.input.patch
        return n_frames // self.info.input.tubelet, side, side

    def encode(self, clip: Tensor) -> Tensor:
        """(B, C, T, H, W) → (B, N, D): the mean level of each token's time step."""
        steps, h, w = self.grid(clip.shape[2])
        parts = clip.float().mean((1, 3, 4)).chunk(steps, dim=1)  # each (B, tubelet)
        level = torch.stack([part.mean(1) for part in parts], 1)  # (B, steps)
        return level.repeat_interleave(h * w, 1)[..., None].repeat(1, 1, D)  # (B, N, D)

    def predict(self, clip: Tensor, masks: MaskSet, motion: Motion | None = None) -> Prediction:
        look, self.looks = self.looks, self.looks + 1
        self.motions.append(motion)
        if not self._has_predictor:
            raise NotAble("This script has no predictor.", "Choose another script.")
        if self._before is not None:
            self._before()
        if self._delay_s:
            threading.Event().wait(self._delay_s)
        if look == self._crash_at:
            os.kill(os.getpid(), signal.SIGKILL)
        if look == self._fail_at:
            raise RuntimeError("scripted failure")
        latents = self.encode(clip)
        indices = torch.cat([torch.tensor(target, dtype=torch.long) for target in masks.targets])
        target = latents[:, indices]
        predicted = target + error_of(indices)[None, :, None]
        if look == self._nan_at:
            predicted = predicted.clone()
            predicted[0, 0, 0] = float("nan")
        return Prediction(predicted, target, latents[:, torch.tensor(masks.context, dtype=torch.long)])

    def begin(self, clip: Tensor, state: Tensor | None, candidates: int) -> Memory:
        raise NotAble("The scripted model takes no actions.")

    def step(self, memory: Memory, action: Tensor) -> Memory:
        raise NotAble("The scripted model takes no actions.")


def _action_spec(width: int) -> ActionSpec | None:
    names = tuple(f"action {n}" for n in range(width))
    return ActionSpec(names, ("",) * width, (-1.0,) * width, (1.0,) * width) if width else None


def error_of(tokens: Tensor) -> Tensor:
    """The scripted error of each token: exact in float32."""
    return 0.25 + tokens / 256


def load_scripted(order: LoadCheckpoint, progress: Progress, cancel: CancelToken) -> ScriptedModel:
    """A loader for EngineProcess and LocalEngine. Options after the "?" are ScriptedModel's, and
    refuse=1 (a refused file), slow=1 (waits until cancelled), die=1 (killed while loading)."""
    _, _, query = order.path.partition("?")
    options: dict[str, Any] = {key: float(value) for key, value in parse_qsl(query)}
    progress(0.5, "reading the script")
    if options.pop("refuse", 0):
        raise KeysDiffer("scripted: keys differ", report=LoadReport(order.path, "Scripted", "", matched=0))
    if options.pop("die", 0):
        os.kill(os.getpid(), signal.SIGKILL)
    if options.pop("slow", 0):
        while not cancel.wait(60.0):
            progress(0.6, "waiting")
    cancel.check()
    numbers: dict[str, Any] = {
        key: value if key in ("delay_ms", "fps") else int(value) for key, value in options.items()
    }
    return ScriptedModel(path=order.path, **numbers)


def examine_checkpoint(
    order: ExamineCheckpoint, progress: Progress, cancel: CancelToken
) -> tuple[CheckpointInfo, LoadReport]:
    """The examiner beside `load_scripted`: the same accidents, nothing loaded."""
    model = load_scripted(LoadCheckpoint(order.path, order.config, order.options), progress, cancel)
    return model.info, model.report
