"""The recurrent predictor of EB-JEPA: the latent is the hidden state, and an action moves it one step on.

Follows specs/lewm-cjepa.md, section 4. Module names are the file's parameter names. Knows no family.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class RecurrentPredictor(nn.Module):
    """Latent and action → the next latent, through the encoder's own last layer norm, which it holds a second time."""

    def __init__(self, action: int, width: int) -> None:
        super().__init__()
        self.rnn = OneLayerGru(action, width)
        self.final_ln = nn.LayerNorm(width)

    def forward(self, latent: Tensor, action: Tensor) -> Tensor:
        """latent (B, D), action (B, A) → (B, D)"""
        return self.final_ln(self.rnn(action.to(latent), latent))


class OneLayerGru(nn.Module):
    """torch's GRU of one layer by its parameter names, one step at a time."""

    def __init__(self, given: int, width: int) -> None:
        super().__init__()
        self.weight_ih_l0 = nn.Parameter(torch.zeros(3 * width, given))
        self.weight_hh_l0 = nn.Parameter(torch.zeros(3 * width, width))
        self.bias_ih_l0 = nn.Parameter(torch.zeros(3 * width))
        self.bias_hh_l0 = nn.Parameter(torch.zeros(3 * width))

    def forward(self, given: Tensor, hidden: Tensor) -> Tensor:
        return torch.gru_cell(
            given, hidden, self.weight_ih_l0, self.weight_hh_l0, self.bias_ih_l0, self.bias_hh_l0
        )
