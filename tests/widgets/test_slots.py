"""Object slots on the picture: one error each, where the model says they are, and nowhere else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtCore import QPointF, QRectF
from PySide6.QtGui import QImage, QPainter

from jepa_core.types import frozen
from tests.widgets.builders import make_frame, make_inspection, make_regions, make_slots
from tests.widgets.system_states import ARM, BLIND, OBJECTS, ONE_LATENT, _unpredicted
from widgets.colormaps import Scale, color_error, table
from widgets.family_ways import layers_of, rules_of
from widgets.frame_view import FrameView
from widgets.overlays.base import Stage, given_frames, strongest_words
from widgets.overlays.slots import SlotsOverlay, _middle
from widgets.slot_facts import error_places, exchanged, slot_errors
from widgets.theme import Theme
from widgets.words import frame_list


def overlay_of(look) -> SlotsOverlay:
    overlay = SlotsOverlay()
    overlay.prepare(look)
    return overlay


def test_fill_is_the_one_error_of_the_slot_that_explains_each_patch(qapp) -> None:
    look = make_slots()
    slots = make_regions().argmax(axis=0)
    wanted = color_error(np.array([0.2, 0.4, 0.8, 1.4], np.float32)[slots], Scale(), "inferno")

    image = overlay_of(look).image(Scale(), "inferno")

    assert np.array_equal(image, wanted)
    assert len(np.unique(image.reshape(-1, 4), axis=0)) == 4  # flat: no error per patch is made up
    assert slot_errors(look).tolist() == pytest.approx([0.2, 0.4, 0.8, 1.4])
    assert error_places(look)[0, 0] == pytest.approx(0.4)


def test_every_slot_is_listed_with_its_error_and_what_is_remarkable(qapp) -> None:
    rows = overlay_of(make_slots(assignment=(0, 2, 1, 3))).rows()
    assert rows == [
        (0, "0.20", ""),
        (1, "0.40", "predicted as slot 3"),
        (2, "0.80", "predicted as slot 2"),
        (3, "1.40", ""),
    ]
    assert exchanged(make_slots(assignment=(0, 2, 1, 3))) == {1: 2, 2: 1}


def test_slot_that_explains_no_patch_most_is_listed_and_has_no_place(qapp) -> None:
    regions = make_regions().copy()
    regions[0] += regions[3]
    regions[3] = 0
    overlay = overlay_of(make_slots(regions=frozen(regions)))
    assert overlay.rows()[3] == (3, "1.40", "explains no patch most")
    assert sorted(overlay._middles) == [0, 1, 2]


def test_number_of_a_slot_stands_inside_its_region(qapp) -> None:
    ring = np.ones((5, 5), bool)
    ring[1:4, 1:4] = False
    middle = _middle(ring)
    assert ring[int(middle.y()), int(middle.x())]


def test_without_regions_there_is_a_list_and_no_map(qapp) -> None:
    overlay = overlay_of(make_slots(regions=None))
    assert overlay.image(Scale(), "inferno") is None
    assert [row[1] for row in overlay.rows()] == ["0.20", "0.40", "0.80", "1.40"]


@pytest.mark.parametrize("kind", ["grid", "global"])
def test_other_layouts_have_no_slots(qapp, kind: str) -> None:
    look = make_inspection(kind=kind, rule="future", shape=(8, 16, 16) if kind == "grid" else (8, 1, 1))
    overlay = overlay_of(look)
    assert overlay.rows() == []
    assert overlay.image(Scale(), "inferno") is None


def painted(overlay: SlotsOverlay, layers: frozenset[str]) -> QImage:
    image = QImage(720, 400, QImage.Format.Format_RGB32)
    image.fill(0)
    stage = Stage(QRectF(40, 20, 640, 360), (640, 360), Theme(), Scale(), "inferno", layers)
    painter = QPainter(image)
    overlay.paint(painter, stage)
    painter.end()
    return image


def test_fill_goes_with_the_error_layer_and_outlines_stay(qapp) -> None:
    look = make_slots()
    both, outlines = (
        painted(overlay_of(look), frozenset({"slots", "error"})),
        painted(overlay_of(look), frozenset({"slots"})),
    )
    x, y, w, h = look.layout.crop
    at = (int(40 + x + w * 5.5 / 6), int(20 + y + h * 4.3 / 6))  # in slot 3's region, beside its number
    assert outlines.pixelColor(*at).value() == 0
    assert both.pixelColor(*at).red() > 60
    assert outlines != painted(overlay_of(make_slots(regions=None)), frozenset({"slots"}))


@pytest.fixture
def view(qtbot) -> FrameView:
    made = FrameView()
    qtbot.addWidget(made)
    made.resize(900, 560)
    made.show_state("live")
    made.show_frame(make_frame())
    return made


def test_value_under_the_cursor_is_the_slot_and_its_one_error(view: FrameView) -> None:
    view.set_checkpoint(OBJECTS)
    view.show_inspection(make_slots(assignment=(0, 2, 1, 3)))
    words = view.token_words(0, 0)
    assert words is not None
    assert words.startswith("slot 2 (90 % of this patch): 0.40 of scale 0–1, predicted for frame")
    assert words.endswith(", as slot 3")
    assert view.token_words(0, 0).split(":")[1] == view.token_words(1, 2).split(":")[1]  # the same slot
    assert strongest_words(make_slots()) == "slot 4"


def test_hovering_over_an_object_tells_it(view: FrameView, qtbot) -> None:
    view.show_inspection(make_slots())
    heard: list[object] = []
    view.tokenHovered.connect(heard.append)
    picture, (x, y, w, h) = view.picture_rect(), make_slots().layout.crop
    zoom = picture.width() / make_frame().rgb.shape[1]
    at = QPointF(picture.x() + (x + w / 12) * zoom, picture.y() + (y + h / 12) * zoom)
    view._hover(at)
    assert str(heard[-1]).startswith("slot 2")


def test_one_latent_per_frame_is_said_in_the_picture_and_nothing_is_drawn(view: FrameView) -> None:
    look = make_inspection(kind="global", rule="future", shape=(8, 1, 1))
    view.set_checkpoint(ONE_LATENT)
    view.show_inspection(look)
    from widgets.frame_words import no_map_words

    assert no_map_words(ONE_LATENT, look)[0] == (
        "LeWorldModel keeps one latent per frame: there is no map to draw; see the curve below"
    )
    assert "curve" not in no_map_words(ONE_LATENT, _unpredicted(look))[0]
    plain = view.grab().toImage()
    view.set_layers(set())
    assert view.grab().toImage() == plain


def test_prediction_under_actions_says_from_which_frames(view: FrameView) -> None:
    view.set_checkpoint(OBJECTS)
    look = replace(
        make_slots(), clip=(2, 3, 4, 5, 6, 7, 8, 13), layout=replace(make_slots().layout, tubelet=1)
    )
    view.show_inspection(look)
    assert "prediction of frames 8 and 13 from 2–7 and the actions between" in view.header_text()
    assert given_frames(look) == (2, 3, 4, 5, 6, 7)
    view.set_checkpoint(ARM)
    view.show_inspection(make_inspection(rule="future"))
    assert "and the actions between" in view.header_text()
    view.set_checkpoint(None)
    assert "actions" not in view.header_text()


def test_what_cannot_be_predicted_is_said_calmly(view: FrameView) -> None:
    view.set_checkpoint(OBJECTS)
    view.show_inspection(_unpredicted(make_slots()))
    assert view.footer_text() == "This source tells no actions; this system predicts only under actions."
    assert "nothing was predicted" in view.header_text()
    assert view.token_words(0, 0) == "slot 2 (90 % of this patch): nothing was predicted of it"


def test_checkpoint_that_cannot_see_says_so_before_it_looks(view: FrameView) -> None:
    view.set_checkpoint(BLIND)
    assert view.footer_text() == BLIND.cannot_see
    assert "not shown to the checkpoint" in view.header_text()


@pytest.mark.parametrize(
    ("seqs", "words"),
    [
        ((), "–"),
        ((4,), "4"),
        ((4, 5, 6), "4–6"),
        ((2, 7), "2 and 7"),
        ((2, 7, 12), "2, 7 and 12"),
        (range(0, 40, 5), "0 … 35"),
    ],
)
def test_frames_that_are_no_neighbours_are_listed(seqs, words) -> None:
    assert frame_list(tuple(seqs)) == words


def test_swatch_of_a_slot_is_the_colour_of_the_bar(qapp) -> None:
    overlay = overlay_of(make_slots())
    swatch = overlay._swatch(1, Scale(), table("inferno")).color()
    assert [swatch.red(), swatch.green(), swatch.blue()] == table("inferno")[round(255 * 0.4)].tolist()


# --- what there is to choose -----------------------------------------------------------------------------------------


def test_only_layers_and_rules_of_the_system_are_offered() -> None:
    assert (layers_of(OBJECTS), rules_of(OBJECTS)) == ({"error", "slots"}, ("future",))
    assert (layers_of(ONE_LATENT), rules_of(ONE_LATENT)) == (frozenset(), ("future",))
    assert (layers_of(ARM), rules_of(ARM)) == ({"error", "masks"}, ("future",))
    assert (layers_of(BLIND), rules_of(BLIND)) == (frozenset(), ())
    assert rules_of(replace(OBJECTS, abilities=frozenset({"temporal", "slots"}))) == ()
    assert len(rules_of(None)) == 3
