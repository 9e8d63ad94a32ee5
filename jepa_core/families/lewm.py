"""LeWorldModel: one picture becomes one vector, and a causal transformer says the next one under an action.

Follows specs/lewm-cjepa.md, section 1; sections below mean that document. There is no masked predictor and no latent
per place: nothing here can be drawn over the picture. `begin` and `step` are the published roll-out, plain; `predict`
holds it against what happened.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from jepa_core import action_stats, marks
from jepa_core import lewm_facts as facts
from jepa_core.design import Choices, Design, LookSize, WeightFile
from jepa_core.errors import ActionOutOfRange, KeysDiffer, NotAble
from jepa_core.families.base import Memory, Motion, Prediction
from jepa_core.lewm_file import PARTS
from jepa_core.masks import future_steps
from jepa_core.metrics import token_error
from jepa_core.nn.adaln import AdaLnPredictor
from jepa_core.nn.cls_vit import ClsVit
from jepa_core.nn.positions import Grid
from jepa_core.nn.projector import ActionEmbedder, Projector
from jepa_core.types import ActionSpec, CheckpointInfo, InputSpec, LoadReport, MaskSet

NAME = "LeWorldModel"
NO_MAP = "one latent per frame: it has a surprise over time and no map over the picture"
ALONE = "takes actions: it predicts the next frame's latent from an action block; without one there is no prediction"


@dataclass(frozen=True, slots=True)
class LewmMemory(Memory):
    """A rollout in progress. K candidates, T frames so far, the real ones first."""

    latents: Tensor  # (K, T, D)
    actions: Tensor  # (K, T - 1, E) embedded; row t leaves frame t


class LeWorldModel:
    """One loaded LeWorldModel checkpoint."""

    def __init__(
        self,
        reading: facts.Reading,
        modules: Mapping[str, nn.Module],
        info: CheckpointInfo,
        report: LoadReport,
    ) -> None:
        encoder, predictor, action_encoder, projector, pred_proj = (modules[part] for part in PARTS)
        assert isinstance(encoder, ClsVit)
        assert isinstance(predictor, AdaLnPredictor)
        self.info = info
        self.report = report
        self.reading = reading
        self.encoder: ClsVit = encoder
        self.predictor: AdaLnPredictor = predictor
        self.action_encoder = action_encoder
        self.projector = projector
        self.pred_proj = pred_proj

    # --- what `checkpoint` asks ----------------------------------------------------------------------------------

    @classmethod
    def recognises(cls, keys: frozenset[str], config: Mapping[str, object]) -> bool:
        """A predictor modulated by actions, beside a projector or an action encoder of its own."""
        return any(
            key.startswith("predictor/transformer.layers.") and ".adaLN_modulation." in key for key in keys
        ) and any(key.startswith(("projector/net.", "pred_proj/net.", "encoder/cls_token")) for key in keys)

    @classmethod
    def marks(cls, keys: frozenset[str], config: Mapping[str, object]) -> tuple[str, ...]:
        """What showed that a file is of this system, in words."""
        modulated = "predictor/transformer.layers.0.adaLN_modulation"
        return marks.present(keys, "encoder/cls_token", modulated, "projector/net.", "pred_proj/net.")

    @classmethod
    def design(cls, file: WeightFile, choices: Choices) -> Design:
        """Everything `checkpoint` needs to compare and build. Raises ConfigDiffers or KeysDiffer."""
        lacking = [part for part in PARTS if not file.parts.get(part)]
        if lacking:
            raise KeysDiffer(
                f"{file.name} holds a {NAME} without its {lacking[0].replace('_', ' ')}; every part is needed.",
                "Load the complete file.",
                report=LoadReport(
                    path=file.name,
                    family=NAME,
                    variant="",
                    matched=0,
                    missing=tuple(f"{part} (the whole part)" for part in lacking),
                    absent_parts=tuple(lacking),
                ),
            )
        reading = facts.read(file, choices)
        vit = reading.vit
        return Design(
            family=NAME,
            variant=f"{_size_name(vit.width, vit.depth)}/{vit.patch}, {reading.size} px, {reading.action} numbers per action block",
            modules=empty_modules(reading),
            sources={part: file.parts[part] for part in PARTS},
            input=InputSpec(
                size=reading.size,
                frames=reading.predictor.history + 1,
                fps=reading.fps,
                tubelet=1,
                patch=vit.patch,
                fit=facts.FIT,
            ),
            abilities=frozenset({"temporal", "actions"}),
            embed_dim=reading.predictor.width,
            look=lambda frames, size: _look_size(reading, frames),
            settings=reading,
            action=action_spec(reading.action),
            ignored=file.ignored,
            assumed=reading.assumed,
            notes=(NO_MAP, ALONE, *action_stats.notes_on("action", reading.statistics)),
            layout="global",
            metric="l2",
        )

    @classmethod
    def assemble(
        cls, design: Design, modules: Mapping[str, nn.Module], info: CheckpointInfo, report: LoadReport
    ) -> LeWorldModel:
        return cls(design.settings, modules, info, report)

    # --- what the engine asks ------------------------------------------------------------------------------------

    def grid(self, n_frames: int) -> Grid:
        """(T, 1, 1): one latent per frame."""
        return max(n_frames, 1), 1, 1

    def encode(self, clip: Tensor) -> Tensor:
        """(B, C, T, H, W) normalised → (B, T, D) float32: the projected CLS token of each frame alone."""
        return self.projector(self.tokens(clip)[:, :, 0]).float()

    def predict(self, clip: Tensor, masks: MaskSet, motion: Motion | None = None) -> Prediction:
        """The newest frames' latents, rolled out from those before under the recorded action blocks (1.7, section 6).

        The first is predicted from real frames, every further one from what was predicted. Raises NotAble where the
        source tells no such actions, or the masks ask for anything but whole frames to come.
        """
        T = clip.shape[2]
        given = T - future_steps(masks, self.grid(T))
        blocks = action_stats.blocks_of(motion, T, self.reading.action, self.reading.statistics, NAME)
        latents = self.encode(clip)  # (1, T, D)
        memory = self._started(latents[:, :given], 1, blocks[:, : given - 1])
        for t in range(given, T):
            memory = self.step(memory, blocks[:, t - 1])
        return Prediction(
            predicted=memory.latents[:, given:],
            target=latents[:, given:],
            context=latents[:, :given],
            latents=latents,
        )

    def begin(
        self, clip: Tensor, state: Tensor | None, candidates: int, *, history: Tensor | None = None
    ) -> LewmMemory:
        """Start a rollout from real frames.

        clip     (1, C, T, H, W) normalised, oldest first
        state    not used: this family knows nothing of a body
        history  (T - 1, A) or (candidates, T - 1, A): the action blocks that were executed between the frames. Without
                 it only the newest frame is used, as the published planner does.
        """
        if history is None:
            clip = clip[:, :, -1:]
        return self._started(self.encode(clip), candidates, history)

    def _started(self, latents: Tensor, candidates: int, history: Tensor | None) -> LewmMemory:
        """`begin` for frames that are encoded already: latents (1, T, D)."""
        latents = latents.expand(candidates, -1, -1)  # (K, T, D)
        K, T, D = latents.shape
        actions = latents.new_zeros(K, 0, D)
        if history is not None:
            history = history if history.ndim == 3 else history[None]
            history = history.expand(K, -1, -1)
            if history.shape != (K, T - 1, self.reading.action):
                raise ActionOutOfRange(
                    f"The executed actions have the shape {tuple(history.shape)}; {T} frames need"
                    f" ({K}, {T - 1}, {self.reading.action}).",
                    "Give the action block that left each frame but the newest.",
                )
            if T > 1:
                action_stats.check_range(history)
                actions = self.embed_actions(history)
        return LewmMemory(latent=latents[:, -1:], latents=latents, actions=actions)

    def step(self, memory: Memory, action: Tensor) -> LewmMemory:
        """One action block further (1.7): action (K, A) in standard deviations → memory with .latent (K, 1, D).

        The last `history` latents with the actions of the same frames; positions begin at 0 in every window.
        """
        assert isinstance(memory, LewmMemory)
        K = len(memory.latents)
        if action.shape != (K, self.reading.action):
            raise ActionOutOfRange(
                f"Actions have the shape {tuple(action.shape)}; {K} candidates need ({K}, {self.reading.action}).",
                "Give one whole action block for each candidate.",
            )
        action_stats.check_range(action)
        embedded = self.embed_actions(action[:, None])  # (K, 1, E)
        actions = torch.cat((memory.actions, embedded), dim=1)  # (K, T, E)
        window = self.predictor.spec.history
        latent = self.predict_next(memory.latents[:, -window:], actions[:, -window:])[:, -1:]  # (K, 1, D)
        return LewmMemory(latent=latent, latents=torch.cat((memory.latents, latent), dim=1), actions=actions)

    # --- the pieces, for parity, planning and monitoring -------------------------------------------------------------

    def tokens(self, clip: Tensor) -> Tensor:
        """(B, C, T, H, W) → (B, T, 1 + patches, Dv): the ViT's tokens, CLS first. Only the CLS becomes a latent."""
        B = clip.shape[0]
        return self.encoder(clip.transpose(1, 2).flatten(0, 1)).unflatten(0, (B, -1))

    def embed_actions(self, actions: Tensor) -> Tensor:
        """(B, T, A) action blocks → (B, T, E)"""
        return self.action_encoder(actions.to(device=self._device, dtype=self._dtype))

    def predict_next(self, latents: Tensor, actions: Tensor) -> Tensor:
        """latents, embedded actions (B, T, D), T ≤ history → (B, T, D) float32; place t predicts frame t + 1.

        Predicted and encoded latents pass different projectors; only after both may they be compared.
        """
        if latents.shape[1] > self.predictor.spec.history:
            raise NotAble(
                f"This predictor sees {self.predictor.spec.history} frames; {latents.shape[1]} were given.",
                "Give it the newest ones.",
            )
        return self.pred_proj(self.predictor(latents.to(self._dtype), actions.to(self._dtype))).float()

    def errors(self, clip: Tensor, actions: Tensor) -> Tensor:
        """Surprise at each frame but the first, given what was done: mean over channels of the squared difference.

        clip (B, C, T, H, W); actions (B, T - 1, A), the block that left each frame → (B, T - 1) float32. Each frame is
        predicted from the last `history` real frames before it.
        """
        latents, embedded = self.encode(clip), self.embed_actions(actions)
        window, predicted = self.predictor.spec.history, []
        for t in range(1, latents.shape[1]):
            first = max(0, t - window)
            predicted.append(self.predict_next(latents[:, first:t], embedded[:, first:t])[:, -1])
        return token_error(torch.stack(predicted, dim=1), latents[:, 1:], "l2")

    def energy(self, memory: Memory, goal: Tensor) -> Tensor:
        """Distance of each candidate's last latent from the goal (1.8): sum of squares, not mean.

        goal (1, D) encoded → (K,) float32. One goal for all candidates; never matched to them by position.
        """
        return (memory.latent[:, -1].float() - goal[-1].float()).square().sum(-1)

    @property
    def _device(self) -> torch.device:
        return self.predictor.pos_embedding.device

    @property
    def _dtype(self) -> torch.dtype:
        return self.predictor.pos_embedding.dtype


def action_spec(count: int) -> ActionSpec:
    """One block: the actions of five environment steps, one after another, each in standard deviations (1.5)."""
    per_step, rest = divmod(count, facts.FRAMESKIP)
    if rest:
        names = tuple(f"number {i + 1}" for i in range(count))
    else:
        names = tuple(
            f"step {step + 1}, action {i + 1}" for step in range(facts.FRAMESKIP) for i in range(per_step)
        )
    return ActionSpec(
        names,
        ("standard deviations",) * count,
        (-action_stats.FARTHEST,) * count,
        (action_stats.FARTHEST,) * count,
    )


# --- building ----------------------------------------------------------------------------------------------------


def empty_modules(reading: facts.Reading) -> dict[str, nn.Module]:
    """Every part on the meta device."""
    latent = reading.predictor.width
    with torch.device("meta"):
        return {
            "encoder": ClsVit(reading.vit),
            "predictor": AdaLnPredictor(reading.predictor),
            "action_encoder": ActionEmbedder(reading.action, reading.smoothed, reading.action_hidden, latent),
            "projector": Projector(reading.vit.width, reading.projector_hidden, latent),
            "pred_proj": Projector(reading.predictor.out, reading.pred_hidden, latent),
        }


def _size_name(width: int, depth: int) -> str:
    known = {(size[0], size[1]): name for name, size in facts.SIZES.items()}
    name = known.get((width, depth))
    return f"ViT-{name}" if name else f"ViT {width}x{depth}"


def _look_size(reading: facts.Reading, frames: int) -> LookSize:
    side = reading.size // reading.vit.patch
    values = 3 * frames * reading.size**2
    return LookSize(
        frames * (side * side + 1),
        reading.vit.width,
        reading.vit.hidden,
        values,
        steps=frames,
        latents=frames,
    )
