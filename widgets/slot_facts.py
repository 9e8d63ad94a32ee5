"""What a look says of each object slot: its error, its place, and which predicted slot it was compared with.

Arrays only, no Qt. Errors stand at the real slots of the newest predicted frame, after assignment.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from jepa_core.types import Inspection
from widgets.latent_maps import slot_map
from widgets.overlays.base import newest_step


def slot_errors(inspection: Inspection) -> NDArray[np.float32] | None:
    """(S,) errors of the newest predicted frame; None for other layouts or where nothing was predicted."""
    step = newest_step(inspection)
    if inspection.layout.kind != "slots" or step is None:
        return None
    errors: NDArray[np.float32] = inspection.error.reshape(inspection.layout.shape)[step, :, 0]
    return errors


def error_places(inspection: Inspection) -> NDArray[np.float32] | None:
    """(h, w) the error of the slot that explains each patch; None where slots have no places or no errors."""
    errors, slots = slot_errors(inspection), slot_map(inspection)
    return None if errors is None or slots is None else errors[slots]


def exchanged(inspection: Inspection) -> dict[int, int]:
    """Real slot → the predicted slot that fits it best, where that is another one: identities were exchanged."""
    return {real: predicted for real, predicted in enumerate(inspection.assignment) if real != predicted}
