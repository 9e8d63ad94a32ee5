"""The small convolutional encoder of EB-JEPA: three stacks that each halve the picture, then one vector.

Follows specs/lewm-cjepa.md, section 4. Module names are the file's parameter names, so a checkpoint fits without
translation. Knows no family.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class ImpalaSpec:
    """All that shapes and settings say of one such encoder."""

    channels: int  # of the picture: not colours
    stacks: tuple[int, ...]  # channels after each
    blocks: int  # residual blocks in a stack
    side: int  # pixels of the square picture
    width: int  # of the latent

    @property
    def last_side(self) -> int:
        """Pixels of the last feature map."""
        return halved(self.side, len(self.stacks))


class ImpalaEncoder(nn.Module):
    """(B, C, H, W) → (B, D), one latent for the whole picture, after its layer norm."""

    def __init__(self, spec: ImpalaSpec) -> None:
        super().__init__()
        self.spec = spec
        widths = itertools.pairwise((spec.channels, *spec.stacks))
        self.stack_blocks = nn.ModuleList(Stack(given, wanted, spec.blocks) for given, wanted in widths)
        self.mlp = nn.Linear(spec.stacks[-1] * spec.last_side**2, spec.width)
        self.final_ln = nn.LayerNorm(spec.width)

    def forward(self, pictures: Tensor) -> Tensor:
        x = pictures.to(self.mlp.weight)
        for stack in self.stack_blocks:
            x = stack(x)
        return self.final_ln(self.mlp(F.relu(x).flatten(1)))


class Stack(nn.Module):
    """Convolution, a pooling that halves, residual blocks."""

    def __init__(self, given: int, wanted: int, blocks: int) -> None:
        super().__init__()
        self.initial_conv = nn.Conv2d(given, wanted, 3, padding=1)
        self.blocks = nn.ModuleList(Residual(wanted) for _ in range(blocks))

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(self.initial_conv(x), kernel_size=3, stride=2, padding=1)
        for block in self.blocks:
            x = block(x)
        return x


class Residual(nn.Module):
    """relu(x + conv2(relu(conv1 x))): nothing before the first convolution, and a ReLU after the sum."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.conv2(F.relu(self.conv1(x))))


def halved(side: int, times: int) -> int:
    """What the poolings leave of a side: each rounds up."""
    for _ in range(times):
        side = (side + 1) // 2
    return side
