"""V-JEPA 2-AC: from frames, poses and actions of a robot arm to the latents of the next frame.

Each frame is encoded alone (repeated to fill one tubelet) by a frozen V-JEPA 2 encoder; a block-causal predictor says
how the next frame will be under an action. It has no masked predictor. Follows `specs/vjepa2-ac-vjepa2.1.md`, part A;
sections below mean that document. `begin` and `step` are the published algorithm, plain: the whole sequence each step.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from jepa_core import poses
from jepa_core import vjepa2_ac_facts as facts
from jepa_core.design import Choices, Design, LookSize, Stored, WeightFile
from jepa_core.errors import ActionOutOfRange, KeysDiffer, NotAble
from jepa_core.families.base import Memory, Motion, Prediction
from jepa_core.families.vjepa2 import encoder_tables
from jepa_core.latents import normalise_target
from jepa_core.nn.ac_predictor import AcPredictor, AcPredictorSpec
from jepa_core.nn.positions import Grid
from jepa_core.nn.vit import VisionTransformer, VitSpec
from jepa_core.shapes import EncoderShapes, PredictorShapes, read_encoder, read_predictor
from jepa_core.transformer_facts import LETTERS, MODELS_BY_SIZE
from jepa_core.types import ActionSpec, CheckpointInfo, InputSpec, LoadReport, MaskSet

NAME = "V-JEPA 2-AC"
CONDITION_LAYERS = ("action_encoder", "state_encoder", "extrinsics_encoder")
CAMERA = ("camera x", "camera y", "camera z", "camera roll", "camera pitch", "camera yaw")
# No arm moves further in a frame's time: what lies outside is in other units (millimetres, degrees). The planner's own
# box is far smaller.
FARTHEST = (1.0, 1.0, 1.0, math.pi, math.pi, math.pi, 1.0)
SLACK = 1e-4  # of rounding, at the ends of the range
ALONE = "takes actions: it predicts the next frame from an action and the arm's pose; without them there is no prediction"


@dataclass(frozen=True, slots=True)
class AcMemory(Memory):
    """A rollout in progress: everything the predictor is shown at the next step. K candidates, T frames so far."""

    frames: Tensor  # (K, T, n, D) normed latents, the real ones first
    actions: Tensor  # (K, T - 1, 7), the action leaving each frame but the last
    poses: Tensor  # (K, T, 7), recorded, then integrated
    camera: Tensor | None = None  # (K, T, 6) where the checkpoint was trained with the camera's pose


class VJepa2Ac:
    """One loaded V-JEPA 2-AC checkpoint."""

    def __init__(
        self,
        reading: facts.Reading,
        modules: Mapping[str, nn.Module],
        info: CheckpointInfo,
        report: LoadReport,
    ) -> None:
        encoder, predictor = modules["encoder"], modules["predictor"]
        assert isinstance(encoder, VisionTransformer)
        assert isinstance(predictor, AcPredictor)
        self.info = info
        self.report = report
        self.reading = reading
        self.encoder: VisionTransformer = encoder
        self.predictor: AcPredictor = predictor

    # --- what `checkpoint` asks ----------------------------------------------------------------------------------

    @classmethod
    def recognises(cls, keys: frozenset[str], config: Mapping[str, object]) -> bool:
        """A frame-causal predictor with condition layers; with its encoder or, to be refused by name, without."""
        names = {key.partition("/")[2] for key in keys if key.startswith("predictor/")}
        layers = {name.split(".")[0] for name in names}
        return (
            sum(layer in layers for layer in CONDITION_LAYERS) >= 2
            and "predictor_blocks" in layers
            and not any("adaLN" in name for name in names)  # JEPA-WMs' relatives
        )

    @classmethod
    def design(cls, file: WeightFile, choices: Choices) -> Design:
        """Everything `checkpoint` needs to compare and build. Raises ConfigDiffers or KeysDiffer."""
        encoders = {part: file.parts[part] for part in ("encoder", "target_encoder") if file.parts.get(part)}
        if not encoders:
            raise _without_encoder(file)
        own = next(iter(encoders))  # `encoder`, else its frozen twin
        shapes = read_encoder(encoders.values())
        shapes_p = read_predictor(file.parts["predictor"])
        if shapes is None or shapes_p is None or not shapes.tubelet:
            raise KeysDiffer(
                f"{file.name} lacks too many tensors of its {'predictor' if shapes else 'encoder'} to say what it is.",
                "The file is incomplete. Copy or download it again.",
            )
        reading = facts.read(file, shapes, shapes_p, own, choices)
        sources, ignored = _sort(file, encoders, own, has_rope=reading.encoder_has_rope)
        size = reading.rows * reading.patch
        spec = InputSpec(size=size, frames=reading.frames, fps=reading.fps, tubelet=1, patch=reading.patch)
        return Design(
            family=NAME,
            variant=_variant(shapes, reading),
            modules=_empty_modules(shapes, shapes_p, reading),
            sources=sources,
            input=spec,
            abilities=frozenset({"actions"}),
            embed_dim=shapes.width,
            look=lambda frames, size: _look_size(shapes, reading, frames),
            settings=reading,
            action=action_spec(uses_camera=reading.uses_camera),
            twins={"target_encoder": "encoder"} if "target_encoder" in sources else {},
            ignored=(*file.ignored, *ignored),
            assumed={**reading.assumed, "encoder": _encoder_rule(encoders, own)},
            notes=(ALONE, *_differing(encoders)),
        )

    @classmethod
    def assemble(
        cls, design: Design, modules: Mapping[str, nn.Module], info: CheckpointInfo, report: LoadReport
    ) -> VJepa2Ac:
        return cls(design.settings, modules, info, report)

    # --- what the engine asks ------------------------------------------------------------------------------------

    def grid(self, n_frames: int) -> Grid:
        """(T, rows, columns): one latent time step per frame."""
        return max(n_frames, 1), self.reading.rows, self.reading.columns

    def encode(self, clip: Tensor) -> Tensor:
        """(B, C, T, H, W) normalised → (B, T·n, D) float32 latents of each frame alone, layer-normed (A2)."""
        return self.normed(self.features(clip))

    def predict(self, clip: Tensor, masks: MaskSet, motion: Motion | None = None) -> Prediction:
        raise NotAble(
            f"{NAME} predicts frames from actions, not hidden regions.",
            "Roll it out with actions, or load a V-JEPA 2 checkpoint to watch masked regions.",
        )

    def begin(self, clip: Tensor, state: Tensor | None, candidates: int) -> AcMemory:
        """Start a rollout from real frames.

        clip    (1, C, T, H, W) normalised, the context, oldest first
        state   (T, 7) or (1, T, 7): the arm's pose at each frame; with a camera-trained checkpoint (T, 13), pose then
                camera. The past actions are the changes between neighbouring poses.
        Raises NotAble where the poses are missing or the clip is longer than the predictor was built for.
        """
        T, width = clip.shape[2], len(self._action.state)
        if state is None:
            raise NotAble(
                f"{NAME} must know the arm's pose at every frame, and this source gives none.",
                f"Use a source that records {', '.join(self._action.state)}.",
            )
        state = state if state.ndim == 3 else state[None]
        if state.shape != (1, T, width):
            raise NotAble(
                f"The poses have the shape {tuple(state.shape)}; {T} frames need (1, {T}, {width}).",
                "Give one pose per frame.",
            )
        self._check_length(T)
        latents = self.encode(clip).unflatten(1, (T, -1))  # (1, T, n, D)
        pose = state[..., : poses.SIZE].to(latents.device)
        actions = poses.actions_between(pose).to(pose.dtype)
        camera = state[..., poses.SIZE :].to(latents.device) if self.reading.uses_camera else None
        return AcMemory(
            latent=latents[:, -1].expand(candidates, -1, -1),
            frames=latents.expand(candidates, -1, -1, -1),
            actions=actions.expand(candidates, -1, -1),
            poses=pose.expand(candidates, -1, -1),
            camera=None if camera is None else camera.expand(candidates, -1, -1),
        )

    def step(self, memory: Memory, action: Tensor) -> AcMemory:
        """One frame further (A6): action (K, 7) in metres, radians and closedness → memory with .latent (K, n, D).

        Later poses are integrated from the actions; a camera stays where it was. Raises ActionOutOfRange, NotAble.
        """
        assert isinstance(memory, AcMemory)
        self._check_action(action, len(memory.frames))
        T = memory.frames.shape[1]
        self._check_length(T)
        action = action.to(device=memory.poses.device, dtype=memory.poses.dtype)
        actions = torch.cat((memory.actions, action[:, None]), dim=1)  # (K, T, 7)
        predicted = self.predict_frames(memory.frames.flatten(1, 2), actions, memory.poses, memory.camera)
        n = memory.frames.shape[2]
        latent = self.normed(predicted[:, -n:])  # (K, n, D)
        pose = poses.integrate(memory.poses[:, -1], action)
        camera = memory.camera
        return AcMemory(
            latent=latent,
            frames=torch.cat((memory.frames, latent[:, None]), dim=1),
            actions=actions,
            poses=torch.cat((memory.poses, pose[:, None]), dim=1),
            camera=None if camera is None else torch.cat((camera, camera[:, -1:]), dim=1),
        )

    # --- the pieces, for parity and planning -------------------------------------------------------------------------

    def features(self, clip: Tensor) -> Tensor:
        """(B, C, T, H, W) → (B, T·n, D): each frame, repeated to one tubelet, through the encoder alone; not normed.

        The encoder's kernel spans a tubelet, so a frame given once could not pass; neighbours are never mixed.
        """
        B, T = clip.shape[0], clip.shape[2]
        tubelet = self.encoder.spec.tubelet
        clip = clip.to(self.encoder.norm.weight.dtype)
        alone = (
            clip.transpose(1, 2).flatten(0, 1)[:, :, None].expand(-1, -1, tubelet, -1, -1)
        )  # (B·T, C, u, H, W)
        return self.encoder(alone).unflatten(0, (B, T)).flatten(1, 2)  # (B, T·n, D)

    def normed(self, latents: Tensor) -> Tensor:
        """Layer norm without weights, where the checkpoint was trained with it. (…, N, D), float32"""
        return normalise_target(latents) if self.reading.normalises else latents.float()

    def predict_frames(
        self, latents: Tensor, actions: Tensor, states: Tensor, camera: Tensor | None = None
    ) -> Tensor:
        """The predictor alone (A4): normed latents (B, T·n, D), actions (B, T, 7), states (B, T, 7) → (B, T·n, D).

        Slot t predicts frame t + 1, before the layer norm that all its users apply. Raises NotAble for latents of
        another frame size than the predictor was built for.
        """
        dtype = self.predictor.predictor_embed.weight.dtype
        rows, columns = self.reading.rows, self.reading.columns
        if latents.shape[1] != actions.shape[1] * rows * columns:
            raise NotAble(
                f"{latents.shape[1]} tokens are not {actions.shape[1]} frames of {rows} x {columns}.",
                f"Show it frames of {rows * self.reading.patch} x {columns * self.reading.patch} pixels.",
            )
        return self.predictor(
            latents.to(dtype),
            actions.to(dtype),
            states.to(dtype),
            None if camera is None else camera.to(dtype),
            rows=rows,
            columns=columns,
        )

    @property
    def _action(self) -> ActionSpec:
        assert self.info.action is not None
        return self.info.action

    def _check_length(self, frames: int) -> None:
        if frames > self.reading.limit:
            raise NotAble(
                f"This predictor was built for {self.reading.limit} frames, context included; asked for {frames}.",
                "Begin with fewer frames or roll out fewer steps.",
            )

    def _check_action(self, action: Tensor, candidates: int) -> None:
        if action.shape != (candidates, poses.SIZE):
            raise ActionOutOfRange(
                f"Actions have the shape {tuple(action.shape)}; {candidates} candidates need ({candidates}, {poses.SIZE}).",
                f"Give {', '.join(poses.NAMES)} for each candidate.",
            )
        limit = torch.tensor(self._action.high, device=action.device) + SLACK
        outside = ~(action.abs() <= limit)  # a NaN is outside too
        if bool(outside.any()):
            row, column = outside.nonzero()[0].tolist()
            name, unit = poses.NAMES[column], poses.UNITS[column]
            raise ActionOutOfRange(
                f"An action's {name} is {float(action[row, column]):.4g} {unit}, outside ±{self._action.high[column]:.4g}.",
                "Actions are changes per frame in metres, radians and closedness 0 to 1.",
            )


def action_spec(*, uses_camera: bool = False) -> ActionSpec:
    """Seven numbers: change of position, of orientation, of the gripper, between two frames (A5)."""
    low = tuple(-value for value in FARTHEST)
    return ActionSpec(
        poses.NAMES, poses.UNITS, low, FARTHEST, (*poses.NAMES, *(CAMERA if uses_camera else ()))
    )


# --- building ----------------------------------------------------------------------------------------------------


def _without_encoder(file: WeightFile) -> KeysDiffer:
    return KeysDiffer(
        f"{file.name} holds the predictor of a {NAME} without its encoder, whose latents alone it can read.",
        "Load the complete file. The encoder of another V-JEPA 2 file does not fit, even where its shapes do.",
        report=LoadReport(
            path=file.name,
            family=NAME,
            variant="",
            matched=0,
            missing=("encoder (the whole part)",),
            ignored=file.ignored,
            absent_parts=("encoder", "target_encoder"),
        ),
    )


def _empty_modules(
    shapes: EncoderShapes, shapes_p: PredictorShapes, reading: facts.Reading
) -> dict[str, nn.Module]:
    """Encoder and predictor on the meta device."""
    rows = reading.table[0] * reading.table[1] * reading.table[2]
    vit = VitSpec(
        width=shapes.width,
        depth=reading.depth,
        heads=reading.heads,
        hidden=shapes.hidden,
        patch=shapes.patch,
        tubelet=shapes.tubelet,
        is_gated=shapes.is_gated,
        has_rope=reading.encoder_has_rope,
        table_tokens=0 if reading.encoder_has_rope else rows,
    )
    predictor = AcPredictorSpec(
        encoder_width=shapes.width,
        width=shapes_p.width,
        depth=reading.predictor_depth,
        heads=reading.predictor_heads,
        hidden=shapes_p.hidden,
        action_size=reading.action_size,
        is_gated=shapes_p.is_gated,
        has_rope=reading.predictor_has_rope,
        uses_camera=reading.uses_camera,
    )
    with torch.device("meta"):
        return {
            "encoder": VisionTransformer(vit, encoder_tables(reading.table)),
            "predictor": AcPredictor(predictor),
        }


def _sort(
    file: WeightFile, encoders: Mapping[str, Mapping[str, Stored]], own: str, *, has_rope: bool
) -> tuple[dict[str, Mapping[str, Stored]], list[str]]:
    """Which tensor goes where. A rotary encoder's stray position table is listed as ignored, and so is the twin."""
    stray = {"pos_embed"} if has_rope else set()
    used = {part: {n: t for n, t in tensors.items() if n not in stray} for part, tensors in encoders.items()}
    ignored = [f"{part}/{name}" for part, tensors in encoders.items() for name in tensors if name in stray]
    sources: dict[str, Mapping[str, Stored]] = {"encoder": used[own], "predictor": file.parts["predictor"]}
    if own == "encoder" and "target_encoder" in used:
        sources["target_encoder"] = used["target_encoder"]
        ignored.append("target_encoder (the same frozen weights again)")
    elif own == "target_encoder":
        sources["target_encoder"] = used[own]
    return sources, ignored


def _encoder_rule(encoders: Mapping[str, Mapping[str, Stored]], own: str) -> str:
    if own == "target_encoder":
        return "the part target_encoder: frozen in training, so equal to the encoder that this file lacks"
    return "the file's own, for context and targets alike: it was frozen in training"


def _differing(encoders: Mapping[str, Mapping[str, Stored]]) -> tuple[str, ...]:
    """The twins must be equal; where their norms (small, and moved by any training) are not, a person is told."""
    if len(encoders) < 2:
        return ()
    first, second = encoders.values()
    for name in first.keys() & second.keys():
        if "norm" not in name or first[name].shape != second[name].shape:
            continue
        if not torch.equal(first[name].read(), second[name].read()):
            return (f"encoder and target encoder differ in this file ({name}); the encoder is used",)
    return ()


def _variant(shapes: EncoderShapes, reading: facts.Reading) -> str:
    """ "ViT-g/16, 256 px, 8 frames" """
    known = (shapes.width, reading.depth) in MODELS_BY_SIZE and shapes.width in LETTERS
    size = f"ViT-{LETTERS[shapes.width]}" if known else f"ViT {shapes.width}x{reading.depth}"
    height, width = reading.rows * reading.patch, reading.columns * reading.patch
    pixels = f"{height} px" if height == width else f"{height} x {width} px"
    return f"{size}/{shapes.patch}, {pixels}, {reading.frames} frames"


def _look_size(shapes: EncoderShapes, reading: facts.Reading, frames: int) -> LookSize:
    tokens = frames * reading.rows * reading.columns
    values = 3 * shapes.tubelet * tokens * shapes.patch**2
    return LookSize(tokens, shapes.width, shapes.hidden, values, steps=frames)
