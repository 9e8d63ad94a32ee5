"""C-JEPA: a frame becomes a few object slots, and a predictor fills in hidden objects and the frames to come.

Three files are released and all load, each with what it can do: the predictor alone takes slots; the slot encoder
(VideoSAUR) alone takes pictures; the Push-T file has both and takes actions. Follows specs/lewm-cjepa.md, section 2;
sections below mean that document. Slots are no places: nothing here pretends to have an error per patch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from jepa_core import action_stats, marks
from jepa_core import cjepa_design as building
from jepa_core import cjepa_facts as facts
from jepa_core import cjepa_look as looks
from jepa_core.assignment import match, matched_error, reorder
from jepa_core.design import Choices, Design, WeightFile
from jepa_core.errors import ActionOutOfRange, KeysDiffer, NotAble
from jepa_core.families.base import Memory, Motion, Prediction
from jepa_core.nn.cls_vit import ClsVit
from jepa_core.nn.pointwise import PointwiseEncoder
from jepa_core.nn.positions import Grid
from jepa_core.nn.slot_decoder import SlotMixer
from jepa_core.nn.slot_predictor import SlotPredictor
from jepa_core.nn.slots import FeatureMlp, SlotProcessor, SlotStart
from jepa_core.types import CheckpointInfo, InputSpec, LoadReport, MaskSet

NAME = "C-JEPA"
M = TypeVar("M", bound=nn.Module)
FRAME_RATE = 2.0  # latent steps per second
ENCODER_FRAMES = 6  # of a clip, where the file has no predictor to say it
PARTS = (
    "backbone",
    "features",
    "slots",
    "start",
    "decoder",
    "predictor",
    "action_encoder",
    "proprio_encoder",
)


@dataclass(frozen=True, slots=True)
class SlotVideo:
    """What the slot encoder makes of a clip."""

    slots: Tensor  # (B, T, S, D) corrected: what the predictor consumes
    masks: Tensor  # (B, T, S, P) which slot explains which patch; sums to 1 over the slots
    following: Tensor  # (B, T, S, D) where the next frame's slots begin


@dataclass(frozen=True, slots=True)
class CjepaMemory(Memory):
    """A rollout in progress: K candidates, T frames so far, the real ones first. `latent` is the last frame's slots."""

    tokens: (
        Tensor  # (K, T, S + 2, D): slots, proprio node, action node; the last frame's action is not known yet
    )
    pending: Tensor  # (K, n, S + 2, D): frames already predicted and not yet stepped to
    last_slots: Tensor  # (1, S, D) corrected slots of the last real frame: where a goal's slots begin


class CJepa:
    """One loaded C-JEPA checkpoint, whichever of its parts it has."""

    def __init__(
        self,
        reading: facts.Reading,
        modules: Mapping[str, nn.Module],
        info: CheckpointInfo,
        report: LoadReport,
    ) -> None:
        self.info = info
        self.report = report
        self.reading = reading
        self._modules = modules

    # --- what `checkpoint` asks ----------------------------------------------------------------------------------

    @classmethod
    def recognises(cls, keys: frozenset[str], config: Mapping[str, object]) -> bool:
        """A predictor with an identity anchor, or slot attention; with each other, or alone."""
        return any(key.startswith(("predictor/id_projector.", "slots/corrector.")) for key in keys)

    @classmethod
    def marks(cls, keys: frozenset[str], config: Mapping[str, object]) -> tuple[str, ...]:
        """What showed that a file is of this system, in words."""
        return marks.present(
            keys, "predictor/id_projector", "slots/corrector", "start/", "action_encoder/", "proprio_encoder/"
        )

    @classmethod
    def design(cls, file: WeightFile, choices: Choices) -> Design:
        """Everything `checkpoint` needs to compare and build. Raises ConfigDiffers or KeysDiffer."""
        there = [part for part in PARTS if file.parts.get(part)]
        nodes = {"action_encoder", "proprio_encoder"} & set(there)
        if len(nodes) == 1 or (nodes and "predictor" not in there):
            raise KeysDiffer(
                f"{file.name} has only some of predictor, action encoder and proprio encoder; they belong together.",
                "Load the complete file.",
            )
        reading = facts.read(file, choices)
        spec = reading.predictor
        return Design(
            family=NAME,
            variant=building.variant(reading),
            modules=building.empty_modules(reading),
            sources={part: file.parts[part] for part in there},
            input=InputSpec(
                size=reading.size,
                frames=spec.history + spec.future if spec else ENCODER_FRAMES,
                fps=FRAME_RATE,
                tubelet=1,
                patch=reading.vit.patch if reading.vit else 14,
                fit=facts.FIT,
            ),
            abilities=building.abilities(reading),
            embed_dim=reading.width,
            look=lambda frames, size: building.look_size(reading, frames),
            settings=reading,
            action=building.action_spec(reading.action, reading.proprio)
            if reading.vit and reading.action
            else None,
            ignored=file.ignored,
            absent_parts=tuple(part for part in PARTS if part not in there),
            assumed={
                **reading.assumed,
                "frame rate": f"{FRAME_RATE:g} per second (no file says it)",
                **building.seeds(reading),
            },
            notes=building.notes(reading),
            layout="slots",
            slots=reading.n_slots,
            metric="l2",
            cannot_see="" if reading.vit else building.BLIND,
        )

    @classmethod
    def assemble(
        cls, design: Design, modules: Mapping[str, nn.Module], info: CheckpointInfo, report: LoadReport
    ) -> CJepa:
        return cls(design.settings, modules, info, report)

    # --- what the engine asks ------------------------------------------------------------------------------------

    def grid(self, n_frames: int) -> Grid:
        """(T, S, 1): the slots of each frame."""
        return max(n_frames, 1), self.reading.n_slots, 1

    def encode(self, clip: Tensor) -> Tensor:
        """(B, C, T, H, W) normalised → (B, T·S, D) float32 corrected slots, frames in order.

        From the same seeded start at every call, so that two looks at one clip agree; raises NotAble without encoder.
        """
        return self.slot_video(clip, self.seeded_start(clip.shape[0])).slots.flatten(1, 2).float()

    def predict(self, clip: Tensor, masks: MaskSet, motion: Motion | None = None) -> Prediction:
        """The newest frames' slots, predicted from those before and compared slot by slot after assignment.

        Where the source does not tell what that takes, or the file predicts nothing, slots alone with a note.
        """
        return looks.look(self, clip, masks, motion)

    def begin(
        self,
        clip: Tensor,
        state: Tensor | None,
        candidates: int,
        *,
        history: Tensor | None = None,
        start: Tensor | None = None,
    ) -> CjepaMemory:
        """Start a rollout from real frames (2.4).

        clip     (1, C, T, H, W) normalised, oldest first
        state    (T, n) or (1, T, n) proprioception at each frame, in standard deviations
        history  (T - 1, A) or (candidates, T - 1, A): the action blocks executed between the frames. Without it only
                 the newest frame is used, as the published planner does
        start    (1, S, D) slots to begin from; None = the seeded ones
        """
        if not self.reading.action:
            raise NotAble(f"{self.info.variant} takes no actions.", "Load the Push-T file of C-JEPA.")
        state = self._proprio(state, clip.shape[2])
        if history is None:
            clip, state = clip[:, :, -1:], state[:, -1:]
        video = self.slot_video(clip, self.seeded_start(1) if start is None else start)
        return self.started(video.slots, state, candidates, history)

    def started(self, slots: Tensor, state: Tensor, candidates: int, history: Tensor | None) -> CjepaMemory:
        """`begin` for frames whose slots are known: slots (1, T, S, D), state (1, T, n)."""
        T = slots.shape[1]
        blocks = slots.new_zeros(1, 0, self.reading.action) if history is None else history
        blocks = blocks if blocks.ndim == 3 else blocks[None]
        if blocks.shape[1:] != (T - 1, self.reading.action):
            raise ActionOutOfRange(
                f"The executed actions have the shape {tuple(blocks.shape)}; {T} frames need ({T - 1}, {self.reading.action}).",
                "Give the action block that left each frame but the newest.",
            )
        action_stats.check_range(blocks)
        unknown = blocks.new_zeros(len(blocks), 1, self.reading.action)
        tokens = self.tokens(slots, state, torch.cat((blocks, unknown), dim=1)).expand(candidates, -1, -1, -1)
        S = self.reading.n_slots
        return CjepaMemory(
            latent=tokens[:, -1, :S].float(),
            tokens=tokens,
            pending=tokens[:, :0],
            last_slots=slots[:, -1],
        )

    def step(self, memory: Memory, action: Tensor) -> CjepaMemory:
        """One action block further: action (K, A) in standard deviations → memory with .latent (K, S, D).

        The action leaves the last frame. Where a call predicts several frames they are stepped through before the
        next call, each with its own action in place of the predicted node.
        """
        assert isinstance(memory, CjepaMemory)
        K, A = len(memory.tokens), self.reading.action
        if action.shape != (K, A):
            raise ActionOutOfRange(
                f"Actions have the shape {tuple(action.shape)}; {K} candidates need ({K}, {A}).",
                "Give one whole action block for each candidate.",
            )
        action_stats.check_range(action)
        tokens = self._with_action(memory.tokens, action)
        pending = memory.pending
        if not pending.shape[1]:
            history = tokens[:, -self.predictor.spec.history :]
            pending = self.reordered(self.predictor(history), tokens[:, -1, : self.reading.n_slots])
        tokens = torch.cat((tokens, pending[:, :1]), dim=1)
        return CjepaMemory(
            latent=tokens[:, -1, : self.reading.n_slots].float(),
            tokens=tokens,
            pending=pending[:, 1:],
            last_slots=memory.last_slots,
        )

    # --- the slot encoder ----------------------------------------------------------------------------------------

    def seeded_start(self, batch: int) -> Tensor:
        """(B, S, D): slots from this console's own fixed noise."""
        generator = torch.Generator().manual_seed(building.START_SEED)
        noise = torch.randn(1, self.reading.n_slots, self.reading.width, generator=generator)
        return self.start(noise).expand(batch, -1, -1)

    def start(self, noise: Tensor) -> Tensor:
        """Standard normal noise (B, S, D) → start slots (B, S, D)"""
        slots: Tensor = self._part("start", SlotStart)(noise)
        return slots

    def patch_tokens(self, clip: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, T, H, W) → DINOv2 patch tokens and keys of its last block, (B, T, P, F) each, CLS dropped."""
        B = clip.shape[0]
        tokens, keys = self._part("backbone", ClsVit).with_keys(clip.transpose(1, 2).flatten(0, 1))
        return tokens[:, 1:].unflatten(0, (B, -1)), keys[:, 1:].unflatten(0, (B, -1))

    def features(self, clip: Tensor) -> Tensor:
        """(B, C, T, H, W) → (B, T, P, D): what slots compete for"""
        return self._part("features", FeatureMlp)(self.patch_tokens(clip)[0])

    def slot_video(self, clip: Tensor, start: Tensor) -> SlotVideo:
        """Slots of every frame of a clip, beginning from `start` (B, S, D)."""
        return self.slots_of(self.features(clip), start)

    def slots_of(self, features: Tensor, start: Tensor) -> SlotVideo:
        """features (B, T, P, D): more iterations on the first frame of a call, each next frame from the predictor's."""
        processor = self._part("slots", SlotProcessor)
        slots, corrected, masks, following = start.to(features), [], [], []
        for t in range(features.shape[1]):
            iterations = self.reading.first_iterations if t == 0 else self.reading.later_iterations
            now, mask = processor.corrector(slots, features[:, t], iterations)
            slots = processor.predictor(now)
            corrected.append(now)
            masks.append(mask)
            following.append(slots)
        return SlotVideo(*(torch.stack(parts, dim=1) for parts in (corrected, masks, following)))

    def decode(self, slots: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, S, D) → reconstructed features (B, T, P, out) and masks (B, T, S, P). Raises NotAble without decoder."""
        B = slots.shape[0]
        reconstruction, masks = self._part("decoder", SlotMixer)(slots.flatten(0, 1))
        return reconstruction.unflatten(0, (B, -1)), masks.unflatten(0, (B, -1))

    # --- the predictor -------------------------------------------------------------------------------------------

    @property
    def predictor(self) -> SlotPredictor:
        return self._part("predictor", SlotPredictor)

    def hidden_slots(self) -> Tensor:
        """(m,) the slots that training hid: drawn with the same seed at every call, so always the same ones.

        Among the object slots only, never the proprio or the action node.
        """
        random = np.random.RandomState(self.reading.mask_seed)
        chosen = random.choice(self.reading.n_slots, self.reading.masked, replace=False)
        return torch.from_numpy(np.asarray(chosen, dtype=np.int64))

    def predict_masked(self, slots: Tensor, hidden: Tensor | None = None) -> Tensor:
        """Training mode (2.2): history (B, h, S, D), hidden slots (m,) → all frames (B, h + p, S, D)."""
        return self.predictor.fill(self.masked_tokens(slots, hidden))

    def masked_tokens(self, slots: Tensor, hidden: Tensor | None = None) -> Tensor:
        """What the transformer is given in that mode."""
        return self.predictor.masked_tokens(slots, self.hidden_slots() if hidden is None else hidden)

    def roll_slots(self, observed: Tensor, frames: int) -> Tensor:
        """CLEVRER's roll-out (2.4): observed (T, S, D) → the next `frames` (frames, S, D).

        One sequence of every frameskip-th frame per offset, counted from the end; rolled on alone, then interleaved.
        """
        skip, h = self.reading.frameskip, self.predictor.spec.history
        out = observed.new_zeros(frames, *observed.shape[1:])
        for offset in range(min(skip, frames)):
            sequence = observed[(len(observed) + offset) % skip :: skip][-h:][None]  # (1, ≤ h, S, D)
            wanted = len(range(offset, frames, skip))
            predicted = sequence[:, :0]
            while predicted.shape[1] < wanted:
                predicted = torch.cat((predicted, self.predictor(sequence)), dim=1)
                sequence = torch.cat((sequence, predicted[:, -self.predictor.spec.future :]), dim=1)[:, -h:]
            out[offset::skip] = predicted[0, :wanted]
        return out

    def tokens(self, slots: Tensor, proprio: Tensor, actions: Tensor) -> Tensor:
        """slots (B, T, S, D), proprio (B, T, n), action blocks (B or K, T, A) → (B or K, T, S + 2, D), action last."""
        body = self._part("proprio_encoder", PointwiseEncoder)(proprio)[:, :, None]
        act = self._part("action_encoder", PointwiseEncoder)(actions)[:, :, None]
        n = len(act)
        return torch.cat((slots.expand(n, -1, -1, -1), body.expand(n, -1, -1, -1), act), dim=2)

    def reordered(self, tokens: Tensor, reference: Tensor) -> Tensor:
        """Slots of predicted frames (B, T, S + 2, D) in the order of a frame's slots (B, S, D); nodes stay.

        The first frame decides the order of all.
        """
        S = reference.shape[1]
        order = match(tokens[:, 0, :S], reference)
        return torch.cat((reorder(tokens[:, :, :S], order), tokens[:, :, S:]), dim=2)

    def goal(self, clip: Tensor, state: Tensor, start: Tensor) -> Tensor:
        """A goal frame as `energy` takes it: (1, C, 1, H, W), proprio (1, n), start slots (1, S, D) → (S + 1, D).

        `start` are the slots of the last observed frame (CjepaMemory.last_slots), so that objects keep their slots.
        """
        video = self.slot_video(clip, start)
        body = self._part("proprio_encoder", PointwiseEncoder)(self._proprio(state, 1))
        return torch.cat((video.slots[0, -1], body[0, -1:]), dim=0)

    def energy(self, memory: Memory, goal: Tensor) -> Tensor:
        """Distance of each candidate's last frame from the goal (S + 1, D) → (K,) float32.

        Mean squared difference of the slots after assignment, plus that of the proprio node, equally weighted.
        """
        assert isinstance(memory, CjepaMemory)
        S = self.reading.n_slots
        last = memory.tokens[:, -1].float()
        wanted = goal.float().expand(len(last), -1, -1)
        body = (last[:, S] - wanted[:, S]).square().mean(-1)
        return matched_error(last[:, :S], wanted[:, :S]) + body

    # --- asking --------------------------------------------------------------------------------------------------

    def _part(self, name: str, kind: type[M]) -> M:
        module = self._modules.get(name)
        if not isinstance(module, kind):
            raise NotAble(
                f"{self.info.variant}: this file has no {name.replace('_', ' ')}.",
                "C-JEPA's parts are released apart; load the file that holds this one.",
            )
        return module

    def _with_action(self, tokens: Tensor, action: Tensor) -> Tensor:
        """The last frame's action node replaced by this action."""
        tokens = tokens.clone()
        tokens[:, -1, -1] = self._part("action_encoder", PointwiseEncoder)(action[:, None])[:, 0]
        return tokens

    def _proprio(self, state: Tensor | None, frames: int) -> Tensor:
        n = self.reading.proprio
        if state is None:
            raise NotAble(
                f"{self.info.variant} must know the body at every frame, and this source gives nothing of it.",
                f"Use a source that records {n} numbers of proprioception.",
            )
        state = state if state.ndim == 3 else state[None]
        if state.shape != (1, frames, n):
            raise NotAble(
                f"The body readings have the shape {tuple(state.shape)}; {frames} frames need (1, {frames}, {n}).",
                "Give one reading per frame.",
            )
        return state
