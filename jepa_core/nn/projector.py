"""The small layers around LeWorldModel's predictor: a projector with batch statistics, an action embedder.

Follows specs/lewm-cjepa.md, section 1.2. Module names are the file's parameter names. Knows no family.
"""

from __future__ import annotations

from torch import Tensor, nn


class Projector(nn.Module):
    """Linear → batch norm → exact GELU → Linear, on each latent alone.

    Only right in evaluation mode, where the batch norm uses the statistics that came with the file: with those of the
    batch the latents differ by about 2 in each channel, without any error.
    """

    def __init__(self, width: int, hidden: int, out: int) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(width, hidden), nn.BatchNorm1d(hidden, eps=1e-5), nn.GELU(), nn.Linear(hidden, out)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) → (B, T, out)"""
        return self.net(x.flatten(0, 1)).unflatten(0, x.shape[:2])


class ActionEmbedder(nn.Module):
    """Action block → embedding, each step alone: a layer to `smoothed` numbers, then two around a SiLU."""

    def __init__(self, action: int, smoothed: int, hidden: int, out: int) -> None:
        super().__init__()
        self.patch_embed = nn.Conv1d(action, smoothed, kernel_size=1)
        self.embed = nn.Sequential(nn.Linear(smoothed, hidden), nn.SiLU(), nn.Linear(hidden, out))

    def forward(self, actions: Tensor) -> Tensor:
        """(B, T, A) → (B, T, E)"""
        smoothed = self.patch_embed(actions.transpose(1, 2)).transpose(1, 2)  # (B, T, smoothed)
        return self.embed(smoothed)
