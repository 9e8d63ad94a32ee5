"""V-JEPA 2-AC: from frames, poses and actions of a robot arm to the latents of the next frame.

Each frame is encoded alone (repeated to fill one tubelet) by a frozen V-JEPA 2 encoder; a block-causal predictor says
how the next frame will be under an action. It has no masked predictor. Follows `specs/vjepa2-ac-vjepa2.1.md`, part A;
sections below mean that document. `begin` and `step` are the published algorithm, plain: the whole sequence each step;
`predict` holds it against what happened.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from jepa_core import marks, poses
from jepa_core import vjepa2_ac_design as building
from jepa_core import vjepa2_ac_facts as facts
from jepa_core.design import Choices, Design, WeightFile
from jepa_core.errors import ActionOutOfRange, KeysDiffer, NotAble
from jepa_core.families.base import Memory, Motion, Prediction
from jepa_core.latents import normalise_target
from jepa_core.masks import future_steps
from jepa_core.nn.ac_predictor import AcPredictor
from jepa_core.nn.positions import Grid
from jepa_core.nn.vit import VisionTransformer
from jepa_core.preprocess import FITS
from jepa_core.shapes import read_encoder, read_predictor
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
    def marks(cls, keys: frozenset[str], config: Mapping[str, object]) -> tuple[str, ...]:
        """What showed that a file is of this system, in words."""
        return (
            *marks.present(keys, *(f"predictor/{layer}" for layer in CONDITION_LAYERS)),
            *marks.numbered(keys, "predictor/predictor_blocks"),
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
        sources, ignored = building.sort(file, encoders, own, has_rope=reading.encoder_has_rope)
        size = reading.rows * reading.patch
        spec = InputSpec(size, reading.frames, reading.fps, tubelet=1, patch=reading.patch, fit="square")
        return Design(
            family=NAME,
            variant=building.variant(shapes, reading),
            modules=building.empty_modules(shapes, shapes_p, reading),
            sources=sources,
            input=spec,
            abilities=frozenset({"temporal", "actions"}),
            embed_dim=shapes.width,
            look=lambda frames, size: building.look_size(shapes, reading, frames),
            settings=reading,
            action=action_spec(uses_camera=reading.uses_camera),
            twins={"target_encoder": "encoder"} if "target_encoder" in sources else {},
            ignored=(*file.ignored, *ignored),
            assumed={
                **reading.assumed,
                "encoder": building.encoder_rule(encoders, own),
                "picture": FITS[spec.fit],
            },
            notes=(ALONE, *building.differing(encoders)),
            cannot_see="" if reading.rows == reading.columns else building.no_square(reading),
            refusal=reading.refusal,
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
        """The newest frames' latents, rolled out from those before as in training (A9): under the recorded states and
        the changes between them. The first is predicted from real frames, every further one from what was predicted.

        Raises NotAble where the source gives no poses or others, or the masks ask for anything but whole frames to come.
        """
        T = clip.shape[2]
        given = T - future_steps(masks, self.grid(T))
        self._check_length(T - 1)
        pose, camera = self._poses(None if motion is None else motion.states, T)
        actions = poses.actions_between(pose).to(pose.dtype)  # (1, T - 1, 7)
        try:
            for t in range(T - 1):
                self._check_action(actions[:, t], 1)
        except ActionOutOfRange as error:
            raise NotAble(f"This source's poses cannot be used: {error.what}", error.hint) from error
        latents = self.encode(clip).unflatten(1, (T, -1))  # (1, T, n, D)
        frames = latents[:, :given]
        for t in range(given, T):
            seen = None if camera is None else camera[:, :t]
            predicted = self.predict_frames(frames.flatten(1, 2), actions[:, :t], pose[:, :t], seen)
            latent = self.normed(predicted[:, -latents.shape[2] :])  # (1, n, D)
            frames = torch.cat((frames, latent[:, None]), dim=1)
        return Prediction(
            predicted=frames[:, given:].flatten(1, 2),
            target=latents[:, given:].flatten(1, 2),
            context=latents[:, :given].flatten(1, 2),
            latents=latents.flatten(1, 2),
        )

    def begin(self, clip: Tensor, state: Tensor | None, candidates: int) -> AcMemory:
        """Start a rollout from real frames.

        clip    (1, C, T, H, W) normalised, the context, oldest first
        state   (T, 7) or (1, T, 7): the arm's pose at each frame; with a camera-trained checkpoint (T, 13), pose then
                camera. The past actions are the changes between neighbouring poses.
        Raises NotAble where the poses are missing or the clip is longer than the predictor was built for.
        """
        T = clip.shape[2]
        pose, camera = self._poses(state, T)
        self._check_length(T)
        latents = self.encode(clip).unflatten(1, (T, -1))  # (1, T, n, D)
        actions = poses.actions_between(pose).to(pose.dtype)
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

    def _poses(self, state: Tensor | None, frames: int) -> tuple[Tensor, Tensor | None]:
        """The arm's poses (1, T, 7), and the camera's (1, T, 6) where this checkpoint was trained with it."""
        if state is None:
            raise NotAble(
                f"{NAME} must know the arm's pose at every frame, and this source gives none.",
                f"Use a source that records {', '.join(self._action.state)}.",
            )
        state, width = (state if state.ndim == 3 else state[None]), len(self._action.state)
        if state.shape != (1, frames, width):
            raise NotAble(
                f"The poses have the shape {tuple(state.shape)}; {frames} frames need (1, {frames}, {width}).",
                "Give one pose per frame.",
            )
        state = state.to(self.predictor.predictor_embed.weight.device)
        return state[..., : poses.SIZE], state[..., poses.SIZE :] if self.reading.uses_camera else None

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
    body = (*poses.NAMES, *(CAMERA if uses_camera else ()))
    return ActionSpec(poses.NAMES, poses.UNITS, low, FARTHEST, body, is_from_state=True)


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
