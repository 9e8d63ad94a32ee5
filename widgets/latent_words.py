"""What is said of the latents on the picture: of which frames, in which axes, like what. Pure functions of a look.

`layer` is "projection", "similarity" or "attention", as the overlays are named. Where there is nothing to draw the
sentence says why; a layout without places is never given made-up ones.
"""

from __future__ import annotations

import math

from PySide6.QtCore import QCoreApplication

from jepa_core.types import Inspection, LatentBasis
from widgets import latent_maps
from widgets.chips import Piece
from widgets.overlays.base import step_frames
from widgets.words import NO_BREAK, frame_range, grouped

LAYERS = ("projection", "similarity", "attention")
KINDS = {"projection": "pca", "similarity": "similarity", "attention": "attention"}  # layer → LatentView.kind

REST_SHOWN = 0.005


def layer_of(layers: frozenset[str]) -> str:
    """Which of the three is on; "" when none is."""
    return next((name for name in LAYERS if name in layers), "")


def latent_frames(inspection: Inspection) -> tuple[int, ...]:
    """seq of the frames whose latents are mapped."""
    step = latent_maps.shown_step(inspection)
    return () if step is None else step_frames(inspection, step)


def frames_words(seqs: tuple[int, ...]) -> str:
    """ "frame 302", "frames 280–287" """
    one = len(set(seqs)) == 1
    return (_tr("frame {0}") if one else _tr("frames {0}")).format(frame_range(seqs))


def why_not(inspection: Inspection, layer: str) -> str:
    """Why nothing can be drawn, in one sentence; "" where there is something."""
    view = latent_maps.view_of(inspection)
    if inspection.layout.kind == "global":
        return _tr("one latent per frame: no map to draw")
    if latent_maps.map_shape(inspection) is None:
        return _tr("objects without regions: no map to draw")
    if layer == "attention":
        if inspection.layout.kind != "slots":
            return _tr("only object slots have an attention to draw")
        if inspection.attention is None:
            return _tr("no slot was predicted, so none was looked at")
        return (
            "" if latent_maps.chosen_slot(inspection) is not None else _tr("click an object in the picture")
        )
    if view.kind != KINDS[layer]:
        return _tr("comes with the next look")
    if not latent_maps.known(inspection).any():
        return _tr("nothing was predicted: choose the actual ones")
    if layer == "similarity":
        if inspection.similarity is not None:
            return ""
        return _tr("outside the square that the model saw: click inside it")
    return (
        ""
        if inspection.colors is not None
        else _tr("gathering latents until there are enough to fit axes on")
    )


def latent_footer(inspection: Inspection, layer: str) -> list[Piece]:
    """What is drawn, in the order in which the pieces give way."""
    if reason := why_not(inspection, layer):
        return [(_title(inspection, layer), "text", True), (f" · {reason}", "dim", False)]
    pieces: list[Piece] = [(_title(inspection, layer), "text", True)]
    if layer == "similarity":
        return [*pieces, (_tr(" to {0}").format(chosen_words(inspection)), "text", False)]
    if layer == "attention":
        return [
            *pieces,
            (_tr(" of slot {0}").format((latent_maps.chosen_slot(inspection) or 0) + 1), "text", False),
        ]
    assert inspection.basis is not None
    return [
        *pieces,
        (_tr(" · basis {0}").format(inspection.basis.id), "text", False),
        (_tr(" explains {0}").format(explained_words(inspection.basis)), "text", False),
    ]


def chosen_words(inspection: Inspection) -> str:
    """What was clicked: a slot, or a place of the newest frames."""
    slot = latent_maps.chosen_slot(inspection)
    if slot is not None:
        return _tr("slot {0}").format(slot + 1)
    places = latent_maps.chosen_places(inspection)
    if places is None:
        return _tr("nothing")
    row, column = (int(part[0]) for part in places.nonzero())
    frames = frames_words(step_frames(inspection, inspection.layout.shape[0] - 1))
    return _tr("row {0}, column {1} of {2}").format(row + 1, column + 1, frames)


def place_words(inspection: Inspection, layer: str, row: int, column: int) -> str | None:
    """The value of one place of the map under the cursor; None where there is no map."""
    shape = latent_maps.map_shape(inspection)
    if shape is None or not (0 <= row < shape[0] and 0 <= column < shape[1]) or why_not(inspection, layer):
        return None
    slots = latent_maps.slot_map(inspection)
    place = (
        _tr("row {0}, column {1}").format(row + 1, column + 1)
        if slots is None
        else _tr("slot {0}").format(int(slots[row, column]) + 1)
    )
    if layer == "attention":
        return _attention_words(inspection, int(slots[row, column])) if slots is not None else None
    is_known = latent_maps.place_map(inspection, latent_maps.known(inspection))
    if is_known is None or not is_known[row, column]:
        return _tr("{0}: the model was shown this; nothing was predicted here").format(place)
    if layer == "similarity" and inspection.similarity is not None:
        value = latent_maps.place_map(inspection, inspection.similarity)
        return None if value is None else _alike_words(inspection, place, float(value[row, column]))
    colors = None if inspection.colors is None else latent_maps.place_map(inspection, inspection.colors)
    if colors is None:
        return None
    first, second, third = (float(part) / 255 for part in colors[row, column])
    return _tr("{0}: {1:.2f}, {2:.2f}, {3:.2f} along the three axes, of {4}").format(
        place, first, second, third, frames_words(latent_frames(inspection))
    )


def basis_sentence(basis: LatentBasis) -> str:
    """ "basis 3fa9… · explains 41 %, 17 %, 9 % · fitted on 384 tokens of frame 12" """
    return _tr("basis {0} · explains {1} · fitted on {2} tokens of {3}").format(
        basis.id, explained_words(basis), grouped(basis.fitted_on), _frames_words(basis)
    )


def explained_words(basis: LatentBasis) -> str:
    return ", ".join(f"{100 * share:.0f}{NO_BREAK}%" for share in basis.explained)


def attention_rows(inspection: Inspection) -> list[tuple[int, float]]:
    """(slot, share) of what the prediction of the chosen slot looked at, the largest first, and at last (-1, share) of
    what is no object; empty where nothing is chosen."""
    slot = latent_maps.chosen_slot(inspection)
    if slot is None or inspection.attention is None:
        return []
    shares = inspection.attention[slot].tolist()
    rows = sorted(enumerate(shares), key=lambda pair: (-pair[1], pair[0]))
    rest = 1.0 - sum(shares)  # the body and the action, where the predictor is given them
    return [*rows, (-1, rest)] if rest > REST_SHOWN else rows


def _attention_words(inspection: Inspection, slot: int) -> str | None:
    chosen = latent_maps.chosen_slot(inspection)
    if chosen is None or inspection.attention is None:
        return None
    return _tr("slot {0}: {1:.0f} % of what the prediction of slot {2} looked at").format(
        slot + 1, 100 * float(inspection.attention[chosen, slot]), chosen + 1
    )


def _alike_words(inspection: Inspection, place: str, cosine: float) -> str:
    if not math.isfinite(cosine):
        return _tr("{0}: its latent has no length, so it is like nothing").format(place)
    return _tr("{0}: similarity {1:.2f} to {2}").format(place, cosine, chosen_words(inspection))


def _frames_words(basis: LatentBasis) -> str:
    first, last = basis.frames
    if first == last:
        return _tr("frame {0}").format(grouped(first))
    return _tr("looks from frame {0} to {1}").format(grouped(first), grouped(last))


def _title(inspection: Inspection, layer: str) -> str:
    is_predicted = latent_maps.view_of(inspection).of == "predicted"
    if layer == "projection":
        return _tr("Predicted latents as PCA colours") if is_predicted else _tr("Latents as PCA colours")
    if layer == "similarity":
        return _tr("Similarity of predicted latents") if is_predicted else _tr("Similarity")
    return _tr("Attention")


def _tr(text: str) -> str:
    return QCoreApplication.translate("latents", text)
