"""The checks every member of a registry passes, so that adding one is a file and a line and nothing else.

Families and sources have theirs beside their own tests (test_families.py, test_every_source.py).
"""

from __future__ import annotations

import importlib
import math
from dataclasses import replace

import numpy as np
import pytest

from jepa_core.signals import SIGNALS, EngineLook
from jepa_core.types import EventKind, TokenLayout
from sessions import events

LAYOUTS = {"grid": (2, 4, 4), "slots": (2, 7, 1), "global": (4, 1, 1)}


def make_look(kind: str, error: float = 0.4) -> EngineLook:
    """A look at four frames, the newest brighter; the first half of the tokens was not predicted."""
    shape = LAYOUTS[kind]
    errors = np.full(math.prod(shape), error, np.float32)
    errors[: len(errors) // 2] = np.nan
    crops = np.zeros((4, 8, 8, 3), np.uint8)
    crops[-1] = 51
    layout = TokenLayout(kind, shape, 2, (0.0, 0.0, 8.0, 8.0))
    return EngineLook(errors, errors, np.zeros((3, 4), np.float32), crops, layout)


@pytest.mark.parametrize("kind", LAYOUTS)
@pytest.mark.parametrize("name", SIGNALS)
def test_every_signal_is_a_finite_number_with_a_unit_for_every_layout(name: str, kind: str):
    signal = SIGNALS[name]
    assert signal.unit
    assert signal.title
    assert math.isfinite(signal.function(make_look(kind)))


@pytest.mark.parametrize("name", SIGNALS)
def test_every_signal_tolerates_a_look_that_predicted_nothing(name: str):
    look = make_look("grid")
    nothing = replace(look, l1=look.l1 * np.nan, error=look.error * np.nan)
    assert isinstance(SIGNALS[name].function(nothing), float)


PAINTED = {  # overlay → the layouts whose latents have places it can paint
    "error": {"grid"},
    "projection": {"grid", "slots"},
    "similarity": {"grid", "slots"},
    "slots": {"slots"},
    "masks": {"grid"},
    "attention": {"slots"},
}


@pytest.mark.parametrize("kind", LAYOUTS)
@pytest.mark.parametrize("name", PAINTED)
def test_every_overlay_paints_every_layout_or_leaves_the_picture_alone(qapp, name: str, kind: str):
    """A layout without places in the picture gets no made-up ones."""
    from PySide6.QtCore import QRectF
    from PySide6.QtGui import QImage, QPainter

    from tests.widgets.builders import make_seen
    from widgets import colormaps
    from widgets.overlays.base import OVERLAYS, Stage
    from widgets.theme import Theme

    module, _, attribute = OVERLAYS[name].partition(":")
    overlay = getattr(importlib.import_module(module), attribute)()
    latents = {"projection": "pca", "similarity": "similarity", "attention": "attention"}.get(name, "none")
    look = make_seen(latents, layout=kind)
    look = replace(look, layout=replace(look.layout, crop=(0.0, 0.0, 64.0, 64.0)))
    if kind == "grid":
        look = replace(look, view=replace(look.view, at=(10.0, 10.0)))
    stage = Stage(
        picture=QRectF(0, 0, 64, 64),
        frame_size=(64, 64),
        theme=Theme(),
        scale=colormaps.Scale(),
        color_map=colormaps.ERROR,
        layers=frozenset(OVERLAYS),
    )
    image = QImage(64, 64, QImage.Format.Format_ARGB32)
    image.fill(0)

    painter = QPainter(image)
    overlay.prepare(look)
    overlay.paint(painter, stage)
    painter.end()

    blank = QImage(64, 64, QImage.Format.Format_ARGB32)
    blank.fill(0)
    assert (image != blank) == (kind in PAINTED[name])


def panels() -> list[str]:
    from console.panels import PANELS

    return list(PANELS)


@pytest.mark.parametrize("panel", panels())
def test_every_panel_builds_alone_and_every_control_in_it_has_a_name(qtbot, panel: str):
    from console.panels import PANELS, make, title_of
    from widgets import a11y

    widget = make(PANELS[panel])
    qtbot.addWidget(widget)
    widget.show()

    assert title_of(PANELS[panel])
    assert [type(control).__name__ for control in a11y.unnamed_controls(widget)] == []


@pytest.mark.parametrize("panel", panels())
def test_every_panel_is_looked_at_in_more_than_one_state(panel: str):
    """The screen tests walk the gallery; a panel that is not in it would never be looked at."""
    from console.panels import PANELS
    from tests.widgets.gallery import GALLERY

    name = PANELS[panel].factory.partition(":")[0].rpartition(".")[2]
    assert len(GALLERY[name][1]) >= 2


def test_every_overlay_of_the_registry_is_checked_here():
    from widgets.overlays.base import OVERLAYS

    assert set(OVERLAYS) == set(PAINTED)


def test_every_action_leads_to_something_the_window_can_do(qtbot, tmp_path):
    from console.actions import ACTIONS
    from tests.helpers.window import open_window

    with open_window(qtbot, tmp_path) as (window, _pipeline):
        missing = []
        for row in (row for row in ACTIONS.values() if not row.is_held):  # held keys: test_window_keys.py
            part, _, method = row.handler.partition(".")
            owner = window if part == "window" else getattr(window, part, None)
            if not callable(getattr(owner, method, None)):
                missing.append(row.handler)
    assert missing == []


@pytest.mark.parametrize("kind", EventKind, ids=lambda kind: kind.name)
def test_every_event_kind_is_built_and_read_back(kind: EventKind):
    needed: dict[EventKind, dict[str, object]] = {
        EventKind.ACKNOWLEDGEMENT: {"acknowledges": events.uuid7(), "ack_status": "seen"},
        EventKind.CORRECTION: {"supersedes": events.uuid7(), "changes": {"reason_code": "test"}},
        EventKind.STOP: {"stop": {"function": "normal", "origin": "operator_device"}},
        EventKind.TAKEOVER_REQUEST: {
            "takeover": {"requested_by": "planner", "t_request_mono_ns": 4, "planned": True}
        },
    }
    if kind in events.SUBTYPES:
        needed.setdefault(kind, {})["subtype"] = events.SUBTYPES[kind][0]
    event = events.new_event(kind, t_ns=5, seq=7, actor="operator:ada", **needed.get(kind, {}))
    assert events.parse_document(events.build_document(event)) == event
    assert event.kind is kind
