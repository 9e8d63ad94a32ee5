"""Which predicted object is which real one: the pairing of least total squared distance.

Slots have no order of their own; before two sets of them are compared, each predicted slot is paired with one real
slot. Pure functions; exact, not greedy.
"""

from __future__ import annotations

import itertools

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

MOST_BY_TRYING = 7  # slots whose 5,040 orders are tried at once for the whole batch


def match(predicted: Tensor, wanted: Tensor) -> Tensor:
    """predicted, wanted (B, S, D) → (B, S) int64: the number of the predicted slot that belongs to each wanted one."""
    cost = (
        (wanted.float()[:, :, None] - predicted.float()[:, None]).square().sum(-1)
    )  # (B, wanted, predicted)
    S = cost.shape[1]
    if S <= MOST_BY_TRYING:
        orders = torch.tensor(list(itertools.permutations(range(S))), device=cost.device)  # (S!, S)
        totals = sum(cost[:, row, orders[:, row]] for row in range(S))  # (B, S!)
        assert isinstance(totals, Tensor)
        return orders[totals.argmin(dim=1)]
    pairs = [_hungarian(one) for one in cost.double().cpu().numpy()]
    return torch.from_numpy(np.stack(pairs)).to(cost.device)


def reorder(slots: Tensor, order: Tensor) -> Tensor:
    """slots (B, S, D) or (B, T, S, D) in the order (B, S): the same order at every T"""
    index = order.view(len(order), *[1] * (slots.ndim - 3), -1, 1).expand_as(slots)
    return slots.gather(-2, index)


def matched_error(predicted: Tensor, wanted: Tensor) -> Tensor:
    """Mean squared difference over slots and channels after matching. (B, S, D) twice → (B,) float32"""
    fitted = reorder(predicted.float(), match(predicted, wanted))
    return (fitted - wanted.float()).square().mean(dim=(-2, -1))


def _hungarian(cost: NDArray[np.float64]) -> NDArray[np.int64]:
    """Kuhn and Munkres with potentials, O(S³): (S, S) → the column of each row."""
    n = len(cost)
    row_price, column_price = np.zeros(n + 1), np.zeros(n + 1)
    row_of = np.zeros(n + 1, dtype=np.int64)  # of each column, counted from 1; 0 = free
    came_from = np.zeros(n + 1, dtype=np.int64)
    for row in range(1, n + 1):
        row_of[0], column = row, 0
        least = np.full(n + 1, np.inf)
        is_done = np.zeros(n + 1, dtype=bool)
        while row_of[column]:
            is_done[column] = True
            here = row_of[column]
            reduced = cost[here - 1] - row_price[here] - column_price[1:]
            better = ~is_done[1:] & (reduced < least[1:])
            least[1:][better], came_from[1:][better] = reduced[better], column
            open_ones = np.where(is_done[1:], np.inf, least[1:])
            following = int(open_ones.argmin()) + 1
            step = open_ones[following - 1]
            row_price[row_of[is_done]] += step
            column_price[is_done] -= step
            least[1:][~is_done[1:]] -= step
            column = following
        while column:
            row_of[column] = row_of[came_from[column]]
            column = int(came_from[column])
    columns = np.empty(n, dtype=np.int64)
    columns[row_of[1:] - 1] = np.arange(n)
    return columns
