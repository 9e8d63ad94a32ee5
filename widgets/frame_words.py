"""What the picture says in words: which frame, of which frames the prediction, how stale, how large the error.

Pure functions of a frame and a look; the view paints them and a screen reader speaks them.
"""

from __future__ import annotations

import math

from PySide6.QtCore import QCoreApplication

from jepa_core.types import CheckpointInfo, Frame, Inspection
from widgets.chips import Piece
from widgets.colormaps import Scale
from widgets.latent_maps import slot_map
from widgets.latent_words import frames_words, latent_footer, latent_frames, why_not
from widgets.overlays.base import (
    error_map,
    given_frames,
    newest_step,
    predicted_frames,
    step_frames,
    strongest_words,
)
from widgets.slot_facts import exchanged, slot_errors
from widgets.words import duration, frame_list, frame_range, grouped, number, plural


def header(
    frame: Frame,
    inspection: Inspection | None,
    title: str,
    age_ms: float | None,
    layer: str = "",
    info: CheckpointInfo | None = None,
    *,
    is_brief: bool = False,
) -> list[Piece]:
    """The picture's frame, the frames of the prediction, and in amber how far apart they are.

    layer   "projection", "similarity" or "attention" where latents are shown instead of the error
    info    whose look it is, where that is known
    is_brief   without what the prediction was made from
    """
    pieces: list[Piece] = [(f"{title} · ", "text", True)] if title else []
    pieces.append((_tr("frame {0}").format(grouped(frame.seq)), "text", False))
    if inspection is None:
        is_blind = info is not None and bool(info.cannot_see)
        told = _tr(" · not shown to the checkpoint") if is_blind else _tr(" · no prediction yet")
        return [*pieces, (told, "dim", False)]
    if layer and not why_not(inspection, layer):
        told = _tr(" · latents of {0}").format(frames_words(latent_frames(inspection)))
        pieces.append((told, "text", False))
    elif frames := predicted_frames(inspection):
        pieces.append((_prediction(inspection, frames, None if is_brief else info), "text", False))
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


def _prediction(inspection: Inspection, frames: tuple[int, ...], info: CheckpointInfo | None) -> str:
    """Of which frames, and of what acts from which and by what between them."""
    one = _tr(" · prediction of frame {0}") if len(frames) == 1 else _tr(" · prediction of frames {0}")
    told = one.format(frame_list(frames))
    if info is None or info.action is None:
        return told
    return told + _tr(" from {0} and the actions between").format(frame_list(given_frames(inspection)))


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
    elif inspection.layout.kind == "slots" and inspection.regions is None:
        pieces.append((_tr(" · where the objects are was not kept, so there is no map"), "dim", False))
    if "frame_difference" in inspection.signals:
        difference = number(float(inspection.signals["frame_difference"]))
        pieces.append((_tr(" · frame difference says {0}").format(difference), "text", False))
    return pieces


def _note(inspection: Inspection) -> list[Piece]:
    """Why there is no error beside the latents."""
    return [(f" · {inspection.note}", "dim", False)] if inspection.note else []


def no_map_words(info: CheckpointInfo | None, inspection: Inspection) -> list[str]:
    """What stands in the picture of a system whose latents lie nowhere, the longest first."""
    name = info.family if info is not None else _tr("This system")
    plain = _tr("{0} keeps one latent per frame: there is no map to draw").format(name)
    if not predicted_frames(inspection):
        return [plain, _tr("one latent per frame: no map")]
    told = _tr("{0}; see the curve below").format(plain)
    return [told, _tr("one latent per frame: no map, see the curve"), _tr("no map: see the curve")]


def square_words(info: CheckpointInfo | None, inspection: Inspection, *, hides_all: bool) -> list[str]:
    """What is said beside the square, the longest first."""
    saw, short = _tr("the model saw this square"), []
    n, layout = (info.input.size if info is not None else 0), inspection.layout
    if info is not None and layout.kind == "grid" and layout.shape[1] == layout.shape[2]:
        n = layout.shape[2] * info.input.patch  # of this look: it may have been stepped down since
    if n:
        saw = _tr("the model saw {0} × {0} of this square").format(n)
        short = [_tr("saw {0} × {0}").format(n)]
    told = [_tr("{0} · what comes next is hidden from it everywhere").format(saw)] if hides_all else []
    return [*told, saw, *short]


def token_words(inspection: Inspection, scale: Scale, row: int, column: int) -> str | None:
    """The error of one token: place, value on the scale, frames it was predicted for. None where there is none."""
    if inspection.layout.kind == "slots":
        return _slot_words(inspection, scale, row, column)
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


def _slot_words(inspection: Inspection, scale: Scale, row: int, column: int) -> str | None:
    """Whose place this is, and the one error that slot has."""
    slots, errors = slot_map(inspection), slot_errors(inspection)
    if slots is None or not (0 <= row < slots.shape[0] and 0 <= column < slots.shape[1]):
        return None
    slot = int(slots[row, column])
    name = _tr("slot {0}").format(slot + 1)
    if inspection.regions is not None:
        name = _tr("{0} ({1:.0f} % of this patch)").format(
            name, 100 * float(inspection.regions[slot, row, column])
        )
    if errors is None or not math.isfinite(errors[slot]):
        return _tr("{0}: nothing was predicted of it").format(name)
    step = newest_step(inspection)
    frames = frame_list(step_frames(inspection, step) if step is not None else ())
    told = _tr("{0}: {1} of scale {2:g}–{3:g}, predicted for frame {4}").format(
        name, number(float(errors[slot])), scale.low, scale.high, frames
    )
    other = exchanged(inspection).get(slot)
    return told if other is None else _tr("{0}, as slot {1}").format(told, other + 1)


def _tr(text: str) -> str:
    return QCoreApplication.translate("FrameView", text)
