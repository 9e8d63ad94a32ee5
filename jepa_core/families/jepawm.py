"""JEPA-WM and DINO-WM: the patch latents of a few frames and the actions between them → those of the next frame.

An extra beside the mission's systems. Follows specs/lewm-cjepa.md, section 3. The visual encoder (DINOv2, DINOv3 or
V-JEPA 2) is never in such a file, so nothing here takes a picture: rollouts begin from patch latents.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from jepa_core import jepawm_facts as facts
from jepa_core import marks
from jepa_core.design import Choices, Design, LookSize, WeightFile
from jepa_core.errors import ActionOutOfRange, NotAble
from jepa_core.families.base import Memory, Motion, Prediction
from jepa_core.latents import normalise_target
from jepa_core.nn.patch_predictor import AppendingPredictor, ModulatedPredictor
from jepa_core.nn.pointwise import PointwiseEncoder
from jepa_core.nn.positions import Grid
from jepa_core.types import ActionSpec, CheckpointInfo, InputSpec, LoadReport, MaskSet

NAME = "JEPA-WM"
FARTHEST = 10.0  # standard deviations; what lies further out is in other units
NO_ENCODER = (
    "no visual encoder in this file, by design: it predicts patch latents (DINOv2's, DINOv3's or V-JEPA 2's) from patch"
    " latents and cannot be shown a picture"
)


@dataclass(frozen=True, slots=True)
class PatchMemory(Memory):
    """A rollout in progress. K candidates, T frames so far, the real one first. `latent` is the last frame's patches."""

    visual: Tensor  # (K, T, n, E)
    proprio: Tensor | None  # (K, T, n, P) encoded, the same on every patch of a real frame
    actions: Tensor  # (K, T - 1, A) row t leaves frame t


class JepaWm:
    """One loaded predictor of JEPA-WMs."""

    def __init__(
        self,
        reading: facts.Reading,
        modules: Mapping[str, nn.Module],
        info: CheckpointInfo,
        report: LoadReport,
    ) -> None:
        predictor = modules["predictor"]
        assert isinstance(predictor, ModulatedPredictor | AppendingPredictor)
        self.info = info
        self.report = report
        self.reading = reading
        self.predictor: ModulatedPredictor | AppendingPredictor = predictor
        self._action_encoder = modules.get("action_encoder")
        self._proprio_encoder = modules.get("proprio_encoder")

    # --- what `checkpoint` asks ----------------------------------------------------------------------------------

    @classmethod
    def recognises(cls, keys: frozenset[str], config: Mapping[str, object]) -> bool:
        """A predictor alone: modulated blocks, or a table and blocks that begin with a norm of their own (section 5)."""
        names = frozenset(key.partition("/")[2] for key in keys if key.startswith("predictor/"))
        return bool(facts.kind_of(names)) and not any(key.startswith("encoder/") for key in keys)

    @classmethod
    def marks(cls, keys: frozenset[str], config: Mapping[str, object]) -> tuple[str, ...]:
        """What showed that a file is of this system, in words."""
        return (
            *marks.present(
                keys, "predictor/predictor_blocks", "predictor/transformer.layers", "action_encoder/"
            ),
            "no encoder",
        )

    @classmethod
    def design(cls, file: WeightFile, choices: Choices) -> Design:
        """Everything `checkpoint` needs to compare and build. Raises ConfigDiffers or KeysDiffer."""
        reading = facts.read(file, choices)
        spec = reading.predictor
        masks = tuple(f"predictor/{name}" for name in file.parts["predictor"] if facts.MASK.fullmatch(name))
        modules = empty_modules(reading)
        body = f"proprioception {reading.body}" if reading.body else "no proprioception"
        return Design(
            family=reading.kind,
            variant=f"predictor alone, {spec.side} x {spec.side} patches of {spec.visual}, {body}",
            modules=modules,
            sources={
                part: {name: t for name, t in file.parts[part].items() if not facts.MASK.fullmatch(name)}
                for part in modules
            },
            input=InputSpec(
                size=spec.side * facts.PATCH,
                frames=reading.window,
                fps=reading.fps,
                tubelet=1,
                patch=facts.PATCH,
            ),
            abilities=frozenset(),
            embed_dim=spec.visual,
            look=lambda frames, size: LookSize(frames * spec.side**2, spec.visual, spec.hidden, 0),
            settings=reading,
            action=action_spec(reading.action, reading.body),
            ignored=(*file.ignored, *masks),
            absent_parts=("visual encoder",),
            assumed=reading.assumed,
            notes=(NO_ENCODER,),
            metric="l2",
            cannot_see="No visual encoder is in this file: it takes patch latents, not pictures, so there is nothing to see.",
        )

    @classmethod
    def assemble(
        cls, design: Design, modules: Mapping[str, nn.Module], info: CheckpointInfo, report: LoadReport
    ) -> JepaWm:
        return cls(design.settings, modules, info, report)

    # --- what the engine asks ------------------------------------------------------------------------------------

    def grid(self, n_frames: int) -> Grid:
        """(T, rows, columns) of the patches of each frame."""
        side = self.reading.predictor.side
        return max(n_frames, 1), side, side

    def encode(self, clip: Tensor) -> Tensor:
        raise self._blind()

    def predict(self, clip: Tensor, masks: MaskSet, motion: Motion | None = None) -> Prediction:
        raise self._blind()

    def begin(self, clip: Tensor, state: Tensor | None, candidates: int) -> PatchMemory:
        raise self._blind()

    def begin_from(self, visual: Tensor, body: Tensor | None, candidates: int) -> PatchMemory:
        """Start a rollout from one real frame: its patch latents (n, E), its proprioception (m,) in standard deviations.

        One frame only: the published unroll knows no actions of before, so earlier frames have nothing to pair with.
        """
        spec = self.reading.predictor
        if visual.shape != (spec.side**2, spec.visual):
            raise NotAble(
                f"The patch latents have the shape {tuple(visual.shape)}; a frame has ({spec.side**2}, {spec.visual}).",
                "Encode one frame with the encoder this predictor was trained on.",
            )
        proprio = (
            self.embed_proprio(self._body(body)).expand(candidates, -1, -1, -1) if spec.proprio else None
        )
        frames = visual.to(self._weight)[None, None].expand(candidates, -1, -1, -1)  # (K, 1, n, E)
        return PatchMemory(
            latent=frames[:, -1].float(),
            visual=frames,
            proprio=proprio,
            actions=frames.new_zeros(candidates, 0, self.reading.action),
        )

    def step(self, memory: Memory, action: Tensor) -> PatchMemory:
        """One action block further: action (K, A) in standard deviations → memory with .latent (K, n, E).

        The last `window` frames with the actions that leave them; places begin at 0 in every window.
        """
        assert isinstance(memory, PatchMemory)
        K = len(memory.visual)
        if action.shape != (K, self.reading.action):
            raise ActionOutOfRange(
                f"Actions have the shape {tuple(action.shape)}; {K} candidates need ({K}, {self.reading.action}).",
                "Give one whole action block for each candidate.",
            )
        if not bool((action.abs() <= FARTHEST).all()):  # a NaN is outside too
            raise ActionOutOfRange(
                f"An action lies {float(action.abs().max()):.4g} standard deviations from the mean, outside ±{FARTHEST:g}.",
                "Actions are z-scores of the training set's actions, not raw commands.",
            )
        actions = torch.cat((memory.actions, action.to(memory.actions)[:, None]), dim=1)  # (K, T, A)
        window = self.reading.window
        seen = None if memory.proprio is None else memory.proprio[:, -window:]
        visual, proprio = self.predict_next(memory.visual[:, -window:], seen, actions[:, -window:])
        newest = visual[:, -1:].to(memory.visual)
        return PatchMemory(
            latent=newest[:, 0].float(),
            visual=torch.cat((memory.visual, newest), dim=1),
            proprio=None
            if memory.proprio is None or proprio is None
            else torch.cat((memory.proprio, proprio[:, -1:]), dim=1),
            actions=actions,
        )

    # --- the pieces, for parity and planning -------------------------------------------------------------------------

    def embed_proprio(self, values: Tensor) -> Tensor:
        """(B, T, m) → (B, T, n, P), the same on every patch of a frame"""
        assert isinstance(self._proprio_encoder, PointwiseEncoder)
        return self._spread(self._proprio_encoder(values))

    def predict_next(
        self, visual: Tensor, proprio: Tensor | None, actions: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        """visual (B, T, n, E), proprio (B, T, n, P) encoded, actions (B, T, A) → what follows each frame.

        Raises NotAble for more frames than a position table has places for.
        """
        spec = self.reading.predictor
        if spec.frames and visual.shape[1] > spec.frames:
            raise NotAble(
                f"This predictor sees {spec.frames} frames; {visual.shape[1]} were given.",
                "Give it the newest.",
            )
        actions = actions.to(self._weight)
        if isinstance(self._action_encoder, PointwiseEncoder):
            actions = self._spread(self._action_encoder(actions))
        following, body = self.predictor(visual.to(self._weight), proprio, actions)
        return (normalise_target(following) if self.reading.normalises else following), body

    def goal(self, visual: Tensor, body: Tensor | None) -> Tensor:
        """A goal frame as `energy` takes it: patch latents (n, E), proprioception (m,) → (n, E + P)"""
        if not self.reading.predictor.proprio:
            return visual
        return torch.cat((visual.to(self._weight), self.embed_proprio(self._body(body))[0, 0]), dim=-1)

    def energy(self, memory: Memory, goal: Tensor) -> Tensor:
        """Mean squared difference of the last frame to the goal (n, E + P), proprio's weighed by alpha → (K,) float32"""
        assert isinstance(memory, PatchMemory)
        E, goal = self.reading.predictor.visual, goal.float()
        apart = (memory.latent.float() - goal[:, :E]).square().mean((-2, -1))
        if memory.proprio is None or not self.reading.alpha:
            return apart
        body = (memory.proprio[:, -1].float() - goal[:, E:]).square().mean((-2, -1))
        return apart + self.reading.alpha * body

    def _spread(self, channels: Tensor) -> Tensor:
        """(B, T, P) → (B, T, n, P)"""
        return channels[:, :, None].expand(-1, -1, self.reading.predictor.side**2, -1)

    def _body(self, body: Tensor | None) -> Tensor:
        if body is None or body.numel() != self.reading.body:
            raise NotAble(
                f"{self.reading.kind} must know the body at its first frame and at its goal.",
                f"Give {self.reading.body} numbers of proprioception.",
            )
        return body.reshape(1, 1, -1)

    @property
    def _weight(self) -> Tensor:
        return next(self.predictor.parameters())

    def _blind(self) -> NotAble:
        return NotAble(
            f"{self.reading.kind} is given here as its predictor alone: the file has no visual encoder.",
            "Its project loads DINOv2, DINOv3 or V-JEPA 2 beside it; this console does not.",
        )


def action_spec(count: int, body: int) -> ActionSpec:
    """One action block in standard deviations; how many environment steps it holds no file says."""
    names = tuple(f"number {i + 1}" for i in range(count))
    state = tuple(f"proprioception {i + 1}" for i in range(body))
    return ActionSpec(
        names, ("standard deviations",) * count, (-FARTHEST,) * count, (FARTHEST,) * count, state
    )


# --- building ----------------------------------------------------------------------------------------------------


def empty_modules(reading: facts.Reading) -> dict[str, nn.Module]:
    """The parts that such a file has, on the meta device."""
    spec = reading.predictor
    with torch.device("meta"):
        if reading.kind == facts.MODULATED:
            modules: dict[str, nn.Module] = {"predictor": ModulatedPredictor(spec)}
        else:
            modules = {
                "predictor": AppendingPredictor(spec),
                "action_encoder": PointwiseEncoder(reading.action, spec.action),
            }
        if spec.proprio:
            modules["proprio_encoder"] = PointwiseEncoder(reading.body, spec.proprio)
    return modules
