"""Reads one number from all the tensor shapes that carry it, by majority.

So one missing or reshaped tensor is later named as such instead of bending the whole reading. Knows no family; reads
no weight.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping

from jepa_core.design import Stored

MOST_BLOCKS = 256  # of one part; the deepest released encoder has 48
Place = tuple[str, int]
"""a tensor's name, # standing for any number, and the axis that carries the value"""


def vote(tensors: Mapping[str, Stored], *places: Place, default: int = 0) -> int:
    """The value most of these places have; `default` where none of them is there."""
    votes: Counter[int] = Counter()
    for pattern, axis in places:
        exact = re.compile(re.escape(pattern).replace(r"\#", r"\d+"))
        for name, tensor in tensors.items():
            if len(tensor.shape) > axis and exact.fullmatch(name):
                votes[tensor.shape[axis]] += 1
    return votes.most_common(1)[0][0] if votes else default


def count_blocks(tensors: Iterable[str], stem: str) -> int:
    """How many numbered blocks or tensors follow `stem.`: one more than the greatest number.

    A number far beyond the rest is a stray name, not a depth: it is left out, to be named as unexpected later. So a
    name alone can never ask for a billion blocks.
    """
    pattern = re.compile(rf"{re.escape(stem)}\.([0-9]{{1,6}})(?:\.|$)")
    found = sorted({int(m[1]) for name in tensors if (m := pattern.match(name))})
    depth = found[-1] + 1 if found else 0
    return min(depth if depth <= 4 * len(found) else len(found), MOST_BLOCKS)
