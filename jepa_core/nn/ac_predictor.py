"""The action-conditioned predictor: frames, actions and poses so far → the latents of each next frame.

One sequence per clip: for every frame its condition tokens (action, state, and camera where used), then its patches.
A frame sees itself whole and every frame before it, never one after. Follows `specs/vjepa2-ac-vjepa2.1.md`, sections
A3 and A4.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from jepa_core.nn.attention import NORM_EPS, Block
from jepa_core.nn.positions import RotaryTable, rotary_from_positions


@dataclass(frozen=True, slots=True)
class AcPredictorSpec:
    """All that shapes and settings say of one action-conditioned predictor."""

    encoder_width: int
    width: int
    depth: int
    heads: int
    hidden: int
    action_size: int = 7
    is_gated: bool = False
    has_rope: bool = True
    uses_camera: bool = False  # the extrinsics layer exists either way


class AcPredictor(nn.Module):
    """Latents, actions and states of T frames → latents of frames 1..T, before any target norm."""

    def __init__(self, spec: AcPredictorSpec) -> None:
        super().__init__()
        self.spec = spec
        self.predictor_embed = nn.Linear(spec.encoder_width, spec.width)
        self.action_encoder = nn.Linear(spec.action_size, spec.width)
        self.state_encoder = nn.Linear(spec.action_size, spec.width)
        self.extrinsics_encoder = nn.Linear(spec.action_size - 1, spec.width)  # present even when unused
        self.predictor_blocks = nn.ModuleList(
            Block(spec.width, spec.heads, spec.hidden, gated=spec.is_gated) for _ in range(spec.depth)
        )
        self.predictor_norm = nn.LayerNorm(spec.width, eps=NORM_EPS)
        self.predictor_proj = nn.Linear(spec.width, spec.encoder_width)

    @property
    def conditions(self) -> int:
        """Condition tokens in front of each frame's patches."""
        return 3 if self.spec.uses_camera else 2

    def forward(
        self,
        latents: Tensor,
        actions: Tensor,
        states: Tensor,
        camera: Tensor | None = None,
        *,
        rows: int,
        columns: int,
    ) -> Tensor:
        """The next frame's latents in the place of each frame's own.

        latents   (B, T·n, D), n = rows·columns tokens per frame, frames in order
        actions   (B, T, A), the action leaving each frame; states (B, T, A), the pose at each frame
        camera    (B, T, A - 1), only and always where the spec says so
        returns   (B, T·n, D); slot t is the prediction of frame t + 1, not normed
        """
        B, T = actions.shape[:2]
        n = rows * columns
        conditions = [self.action_encoder(actions), self.state_encoder(states)]  # each (B, T, P)
        if self.spec.uses_camera:
            if camera is None:
                raise ValueError("this predictor needs the camera's pose at every frame")
            conditions.append(self.extrinsics_encoder(camera))
        patches = self.predictor_embed(latents).view(B, T, n, -1)  # (B, T, n, P)
        x = torch.cat((torch.stack(conditions, dim=2), patches), dim=2).flatten(1, 2)  # (B, T·(K + n), P)
        rotary = self._rotary(T, rows, columns, x) if self.spec.has_rope else None
        mask = (
            None if T == 1 else causal_mask(T, self.conditions + n, x.device)
        )  # one frame sees all of itself
        for block in self.predictor_blocks:
            x = block(x, rotary, mask)
        x = x.view(B, T, self.conditions + n, -1)[:, :, self.conditions :].flatten(1, 2)  # (B, T·n, P)
        return self.predictor_proj(self.predictor_norm(x))

    def _rotary(self, frames: int, rows: int, columns: int, x: Tensor) -> RotaryTable:
        """Patches: frame number, row, column; columns of a frame that is not square are scaled to the rows' span.

        Condition tokens turn with time alone, which is the same as standing at row 0, column 0.
        """
        place = torch.arange(rows * columns, device=x.device)
        nowhere = torch.zeros(self.conditions, device=x.device)
        row = torch.cat((nowhere, (place // columns).float())).repeat(frames)
        column = torch.cat((nowhere, (place % columns).float() * (rows / columns))).repeat(frames)
        time = torch.arange(frames, device=x.device).repeat_interleave(self.conditions + rows * columns)
        head_dim = self.spec.width // self.spec.heads
        return rotary_from_positions((time[None], row[None], column[None]), head_dim, x.dtype)


def causal_mask(frames: int, per_frame: int, device: torch.device | str = "cpu") -> Tensor:
    """(T·s, T·s) bool, True = may attend: a token sees its own frame whole and all frames before it."""
    frame = torch.arange(frames, device=device).repeat_interleave(per_frame)  # (T·s,)
    return frame[:, None] >= frame[None, :]
