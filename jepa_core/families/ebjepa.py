"""EB-JEPA (action-conditioned, Two Rooms): a picture becomes one vector, and a recurrent cell moves it by actions.

An extra beside the mission's systems. Follows specs/lewm-cjepa.md, section 4. Its pictures have two channels, where the
agent is and where the walls are; colours are not turned into those by guessing. The latent is the cell's whole state,
so a rollout needs one real frame and no memory of earlier ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from jepa_core import ebjepa_facts as facts
from jepa_core import marks
from jepa_core.design import Choices, Design, LookSize, Stored, WeightFile
from jepa_core.ebjepa_file import PARTS
from jepa_core.errors import ActionOutOfRange, KeysDiffer, NotAble
from jepa_core.families.base import Memory, Motion, Prediction
from jepa_core.metrics import token_error
from jepa_core.nn.impala import ImpalaEncoder, ImpalaSpec
from jepa_core.nn.positions import Grid
from jepa_core.nn.recurrent import RecurrentPredictor
from jepa_core.types import ActionSpec, CheckpointInfo, InputSpec, LoadReport, MaskSet

NAME = "EB-JEPA"
MEAN, STD = (0.0026, 0.0989), (0.0369, 0.2986)  # of agent and walls, after each frame was stretched to 0..1
EPS = 1e-6  # beside a channel's range and beside each deviation
FARTHEST = 10.0  # pixels in one step; its planner begins with a spread of 2
TWICE = ("final_ln.weight", "final_ln.bias")  # one layer norm, stored in both parts
NO_MAP = "one latent per frame: it has a surprise over time and no map over the picture"
ALONE = "takes actions: it predicts the next frame's latent from a displacement; without one there is no prediction"


@dataclass(frozen=True, slots=True)
class EbMemory(Memory):
    """A rollout in progress. K candidates, T frames so far, the real one first."""

    latents: Tensor  # (K, T, D)


class EbJepa:
    """One loaded EB-JEPA checkpoint."""

    def __init__(
        self,
        reading: facts.Reading,
        modules: Mapping[str, nn.Module],
        info: CheckpointInfo,
        report: LoadReport,
    ) -> None:
        encoder, predictor = (modules[part] for part in PARTS)
        assert isinstance(encoder, ImpalaEncoder)
        assert isinstance(predictor, RecurrentPredictor)
        self.info = info
        self.report = report
        self.reading = reading
        self.encoder: ImpalaEncoder = encoder
        self.predictor: RecurrentPredictor = predictor

    # --- what `checkpoint` asks ----------------------------------------------------------------------------------

    @classmethod
    def recognises(cls, keys: frozenset[str], config: Mapping[str, object]) -> bool:
        """Convolution stacks in front of a recurrent predictor."""
        return any(key.startswith("encoder/stack_blocks.") for key in keys) and any(
            key.startswith("predictor/rnn.") for key in keys
        )

    @classmethod
    def marks(cls, keys: frozenset[str], config: Mapping[str, object]) -> tuple[str, ...]:
        """What showed that a file is of this system, in words."""
        return marks.present(keys, "encoder/stack_blocks", "predictor/rnn", "predictor/final_ln")

    @classmethod
    def design(cls, file: WeightFile, choices: Choices) -> Design:
        """Everything `checkpoint` needs to compare and build. Raises ConfigDiffers or KeysDiffer."""
        reading = facts.read(file, choices)
        spec = reading.encoder
        assumed = {**reading.assumed, "last layer norm": _same_norm(file)}
        return Design(
            family=NAME,
            variant=f"IMPALA {'-'.join(map(str, spec.stacks))}, {spec.side} px, latent {spec.width}",
            modules=empty_modules(reading),
            sources={part: file.parts[part] for part in PARTS},
            input=InputSpec(
                size=spec.side,
                frames=facts.FRAMES,
                fps=reading.fps,
                tubelet=1,
                patch=spec.side,
                channels=spec.channels,
            ),
            abilities=frozenset({"temporal", "actions"}),
            embed_dim=spec.width,
            look=lambda frames, size: _look_size(spec, frames),
            settings=reading,
            action=action_spec(reading.action),
            ignored=file.ignored,
            assumed=assumed,
            notes=(_channels(spec.channels), NO_MAP, ALONE),
            layout="global",
            metric="l2",
            cannot_see=""
            if spec.channels == 3
            else f"It sees {spec.channels} channels that are no colours; no source here gives them.",
        )

    @classmethod
    def assemble(
        cls, design: Design, modules: Mapping[str, nn.Module], info: CheckpointInfo, report: LoadReport
    ) -> EbJepa:
        return cls(design.settings, modules, info, report)

    # --- what the engine asks ------------------------------------------------------------------------------------

    def grid(self, n_frames: int) -> Grid:
        """(T, 1, 1): one latent per frame."""
        return max(n_frames, 1), 1, 1

    def encode(self, clip: Tensor) -> Tensor:
        """(B, C, T, H, W) as `prepared` makes it → (B, T, D) float32. Raises NotAble for colours or another size."""
        spec = self.encoder.spec
        if clip.shape[1] != spec.channels or tuple(clip.shape[-2:]) != (spec.side, spec.side):
            raise NotAble(
                f"{NAME} sees {spec.channels} channels of {spec.side} x {spec.side} pixels; this clip has"
                f" {clip.shape[1]} of {clip.shape[-2]} x {clip.shape[-1]}.",
                "Its pictures are maps of agent and walls, which a camera does not give.",
            )
        return self.encoder(clip.transpose(1, 2).flatten(0, 1)).unflatten(0, (len(clip), -1)).float()

    def predict(self, clip: Tensor, masks: MaskSet, motion: Motion | None = None) -> Prediction:
        """The frames asked for, rolled out from the newest frame before them with the actions of `motion`."""
        asked = torch.from_numpy(np.concatenate(masks.targets).astype(np.int64))
        first, steps = int(asked.min()), clip.shape[2] - 1
        actions = motion.actions if motion is not None else None
        if actions is None:
            raise NotAble(
                f"{NAME} predicts frames from actions, and nothing says what was done between these.",
                "Use a source that records actions.",
            )
        if first < 1 or actions.shape[1:] != (steps, self.reading.action):
            raise NotAble(
                f"{NAME} predicts frames from those before them and the {steps} actions between; these are"
                f" {tuple(actions.shape[1:])} from frame {first}.",
                f"Ask for later frames, with {self.reading.action} numbers per action.",
            )
        latents = self.encode(clip)  # (B, T, D)
        rolled = [latents[:, first - 1]]
        for t in range(first, int(asked.max()) + 1):
            rolled.append(self.predict_next(rolled[-1], actions[:, t - 1]))
        predicted = torch.stack(rolled, dim=1)[:, asked - first + 1]
        return Prediction(predicted, latents[:, asked], latents[:, :first], latents)

    def begin(self, clip: Tensor, state: Tensor | None, candidates: int) -> EbMemory:
        """Start a rollout from the newest frame of (1, C, T, H, W); earlier ones would change nothing. No state."""
        latents = self.encode(clip[:, :, -1:]).expand(candidates, -1, -1)  # (K, 1, D)
        return EbMemory(latent=latents, latents=latents)

    def step(self, memory: Memory, action: Tensor) -> EbMemory:
        """One step further: action (K, A), a raw displacement → memory with .latent (K, 1, D)."""
        assert isinstance(memory, EbMemory)
        K = len(memory.latents)
        if action.shape != (K, self.reading.action):
            raise ActionOutOfRange(
                f"Actions have the shape {tuple(action.shape)}; {K} candidates need ({K}, {self.reading.action}).",
                "Give one displacement for each candidate.",
            )
        if not bool((action.abs() <= FARTHEST).all()):  # a NaN is outside too
            raise ActionOutOfRange(
                f"An action is {float(action.abs().max()):.4g} pixels, outside ±{FARTHEST:g}.",
                "Actions are displacements in one step, in pixels of its pictures.",
            )
        latent = self.predict_next(memory.latents[:, -1], action)[:, None]
        return EbMemory(latent=latent, latents=torch.cat((memory.latents, latent), dim=1))

    # --- the pieces, for parity, planning and monitoring -------------------------------------------------------------

    def predict_next(self, latent: Tensor, action: Tensor) -> Tensor:
        """latent (B, D), action (B, A) → the latent that follows (B, D) float32"""
        weight = self.predictor.final_ln.weight
        return self.predictor(latent.to(weight), action.to(weight)).float()

    def errors(self, clip: Tensor, actions: Tensor) -> Tensor:
        """Surprise at each frame but the first: mean over channels of the squared difference (section 6).

        clip (B, C, T, H, W); actions (B, T - 1, A), the one that left each frame → (B, T - 1) float32
        """
        latents = self.encode(clip)
        B, T, D = latents.shape
        predicted = self.predict_next(latents[:, :-1].reshape(-1, D), actions.reshape(-1, actions.shape[-1]))
        return token_error(predicted.view(B, T - 1, D), latents[:, 1:], "l2")

    def distances(self, memory: Memory, goal: Tensor) -> Tensor:
        """Mean squared difference of every latent so far, the start's too, to the goal (1, D) → (K, T) float32"""
        assert isinstance(memory, EbMemory)
        return (memory.latents.float() - goal[-1].float()).square().mean(-1)

    def energy(self, memory: Memory, goal: Tensor) -> Tensor:
        """The published objective: `distances` summed over all steps, the start included → (K,) float32

        The last step alone, as other systems have it, is `distances(…)[:, -1]` and plans worse here.
        """
        return self.distances(memory, goal).sum(-1)


def prepared(frames: Tensor) -> Tensor:
    """What its encoder is shown: each channel of each frame stretched to 0..1 by its own range, then normalised.

    frames (B, 2, T, H, W) agent and walls, in any range → the same shape, float32
    """
    frames = frames.float()
    low, high = frames.amin((-2, -1), keepdim=True), frames.amax((-2, -1), keepdim=True)
    mean, std = (torch.tensor(values, device=frames.device).view(1, -1, 1, 1, 1) for values in (MEAN, STD))
    return ((frames - low) / (high - low + EPS) - mean) / (std + EPS)


def action_spec(count: int) -> ActionSpec:
    """A displacement in one step, not normalised."""
    names = tuple(f"displacement {axis + 1}" for axis in range(count))
    return ActionSpec(names, ("px",) * count, (-FARTHEST,) * count, (FARTHEST,) * count)


# --- building ----------------------------------------------------------------------------------------------------


def empty_modules(reading: facts.Reading) -> dict[str, nn.Module]:
    """Both parts on the meta device."""
    with torch.device("meta"):
        return {
            "encoder": ImpalaEncoder(reading.encoder),
            "predictor": RecurrentPredictor(reading.action, reading.encoder.width),
        }


def _same_norm(file: WeightFile) -> str:
    """One layer norm lies in both parts. Where the two differ the file is not what it says, and is refused."""
    for name in TWICE:
        first, second = (file.parts[part].get(name) for part in PARTS)
        if first is not None and second is not None and _differ(first, second):
            raise KeysDiffer(
                f"{file.name}: encoder and predictor share one layer norm, but its {name} differs between them.",
                "The file was changed or is damaged. Copy it again.",
                report=LoadReport(
                    path=file.name,
                    family=NAME,
                    variant="",
                    matched=0,
                    reshaped=(f"predictor/{name}: expected the values of encoder/{name}, file has others",),
                ),
            )
    return "stored twice, in encoder and predictor, with equal values"


def _differ(first: Stored, second: Stored) -> bool:
    return first.shape == second.shape and not torch.equal(first.read(), second.read())


def _channels(count: int) -> str:
    if count == len(facts.CHANNELS):
        return f"its pictures have two channels ({' and '.join(facts.CHANNELS)}), not colours: no camera gives them"
    return f"its pictures have {count} channels that are not colours: no camera gives them"


def _look_size(spec: ImpalaSpec, frames: int) -> LookSize:
    return LookSize(
        frames * spec.side**2, max(spec.stacks), max(spec.stacks), spec.channels * frames * spec.side**2
    )
