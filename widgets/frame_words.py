"""What the picture says in words: which frame, of which frames the prediction, how stale, how large the error.

Pure functions of a frame and a look; the view paints them and a screen reader speaks them.
"""

from __future__ import annotations

import math

from PySide6.QtCore import QCoreApplication

from jepa_core.types import Frame, Inspection
from widgets.chips import Piece
from widgets.colormaps import Scale
from widgets.latent_words import frames_words, latent_footer, latent_frames, why_not
from widgets.overlays.base import error_map, newest_step, predicted_frames, step_frames, strongest_words
from widgets.words import duration, frame_range, grouped, number, plural


def header(
    frame: Frame, inspection: Inspection | None, title: str, age_ms: float | None, layer: str = ""
) -> list[Piece]:
    """The picture's frame, the frames of the prediction, and in amber how far apart they are.

    layer   "projection", "similarity" or "attention" where latents are shown instead of the error
    """
    pieces: list[Piece] = [(f"{title} · ", "text", True)] if title else []
    pieces.append((_tr("frame {0}").format(grouped(frame.seq)), "text", False))
    if inspection is None:
        return [*pieces, (_tr(" · no prediction yet"), "dim", False)]
    if layer and not why_not(inspection, layer):
        told = _tr(" · latents of {0}").format(frames_words(latent_frames(inspection)))
        pieces.append((told, "text", False))
    elif frames := predicted_frames(inspection):
        pieces.append((_tr(" · prediction of frames {0}").format(frame_range(frames)), "text", False))
    else:
        pieces.append((_tr(" · nothing was predicted"), "dim", False))
    behind = frame.seq - inspection.seq
    if behind > 0:
        pieces.append((_tr(" · stale, {0}").format(plural(behind, _tr("frame"))), "flag_text", False))
    elif behind < 0:
        ahead = _tr(" · of later frames, {0} ahead").format(plural(-behind, _tr("frame")))
        pieces.append((ahead, "flag_text", False))
    if age_ms is not None and age_ms >= 1000:
        pieces.append((_tr(", {0} old").format(duration(age_ms / 1000)), "flag_text", False))
    return pieces


def footer(inspection: Inspection, layer: str = "", hint: str = "") -> list[Piece]:
    """Surprise, place and the trivial baseline beside them; where latents are shown, what is shown of them.

    layer   as in `header`
    hint    what is to be said instead of the latents; "" = nothing
    """
    if layer:
        pieces = [(hint, "text", False)] if hint else latent_footer(inspection, layer)
        return [*pieces, *_note(inspection)]
    if inspection.note:
        return [(inspection.note, "text", False)]
    pieces = [(_tr("Surprise {0}").format(number(inspection.surprise)), "text", True)]
    if where := strongest_words(inspection):
        pieces += [(_tr(" · strongest "), "text", False), (where, "text", True)]
    if inspection.layout.kind == "global":
        pieces.append((_tr(" · this model has one latent per frame, so there is no map"), "dim", False))
    elif inspection.layout.kind == "slots":
        pieces.append((_tr(" · this model sees objects, not places, so there is no map"), "dim", False))
    if "frame_difference" in inspection.signals:
        difference = number(float(inspection.signals["frame_difference"]))
        pieces.append((_tr(" · frame difference says {0}").format(difference), "text", False))
    return pieces


def _note(inspection: Inspection) -> list[Piece]:
    """Why there is no error beside the latents."""
    return [(f" · {inspection.note}", "dim", False)] if inspection.note else []


def token_words(inspection: Inspection, scale: Scale, row: int, column: int) -> str | None:
    """The error of one token: place, value on the scale, frames it was predicted for. None where there is none."""
    shown = error_map(inspection)
    if shown is None or not (0 <= row < shown.shape[0] and 0 <= column < shown.shape[1]):
        return None
    place = _tr("row {0}, column {1}").format(row + 1, column + 1)
    value = float(shown[row, column])
    if not math.isfinite(value):
        return _tr("{0}: the model was shown this; nothing was predicted here").format(place)
    step = newest_step(inspection)
    frames = frame_range(step_frames(inspection, step) if step is not None else ())
    return _tr("{0}: {1} of scale {2:g}–{3:g}, predicted for frames {4}").format(
        place, number(value), scale.low, scale.high, frames
    )


def _tr(text: str) -> str:
    return QCoreApplication.translate("FrameView", text)
