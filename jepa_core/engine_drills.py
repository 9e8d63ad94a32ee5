"""What an engine practises when its options ask for it: late looks, a full device, painted frame numbers. Else nothing.

Owned by one Engine. A drill makes the same accidents every time; none is ever on by itself.
"""

from __future__ import annotations

import random

import numpy as np
import torch
from numpy.typing import NDArray

from jepa_core.clock import CancelToken
from jepa_core.messages import EngineOptions


class EngineDrill:
    """The accidents of one engine, in order."""

    def __init__(self, options: EngineOptions, cancel: CancelToken) -> None:
        """`cancel` ends a delay early."""
        self._options = options
        self._cancel = cancel
        self._delays = random.Random(0)  # the same waits every time

    def delay(self) -> None:
        least, most = self._options.delay_ms
        if most > 0:
            self._cancel.wait(self._delays.uniform(least, most) / 1e3)

    def check_room(self, wanted: int) -> None:
        """A device with room for `options.room` tokens times bytes of a number; more is out of memory, as torch says it."""
        if 0 < self._options.room < wanted:
            raise torch.OutOfMemoryError(
                f"drill: a look that takes {wanted} found room for {self._options.room}"
            )

    def read_barcode(self, rgb: NDArray[np.uint8]) -> int | None:
        """The number painted into a frame, where the drill asks for it."""
        if not self._options.reads_barcode:
            return None
        from jepa_core import barcode  # only in a drill

        return barcode.read(rgb)

    def signals(self, barcode: int | None) -> dict[str, float]:
        """What a look says of the barcode of its newest frame."""
        if not self._options.reads_barcode:
            return {}
        return {"barcode": float("nan") if barcode is None else float(barcode)}
