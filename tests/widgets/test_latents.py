"""Latents over the picture: golden colours and places for grids, slots and one latent per frame, and their words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jepa_core.types import LatentView, MaskSet, TokenLayout, frozen
from tests.widgets.builders import ATTENTION, BASIS, make_inspection, make_regions, make_seen
from tests.widgets.vision import cie_distance, simulate
from widgets import colormaps, latent_maps, latent_words
from widgets.colormaps import color_similarity, similarity_table, table
from widgets.latent_legend import first_axis_map
from widgets.overlays.attention import AttentionOverlay, middles
from widgets.overlays.base import ALONE, OVERLAYS, RASTERS, settled
from widgets.overlays.projection import ALPHA, ProjectionOverlay
from widgets.overlays.similarity import SimilarityOverlay

CROP = (0.0, 0.0, 20.0, 20.0)


def small(kind: str, **changes: object):
    """Two steps of 2 × 2 patches, the newest step the target; token n has the colour (n, 10 n, 20 n)."""
    n = np.arange(8)
    layout = TokenLayout("grid", (2, 2, 2), 2, CROP)
    masks = MaskSet(frozen(np.arange(4, dtype=np.int32)), (frozen(np.array([5, 6], np.int32)),), 0)
    values: dict[str, object] = {
        "layout": layout,
        "masks": masks,
        "clip": (4, 5, 6, 7),
        "error": frozen(np.where(np.isin(n, [5, 6]), 0.5, np.nan).astype(np.float32)),
        "view": LatentView(kind, at=(15.0, 5.0)),
        "colors": frozen(np.stack([n, 10 * n, 20 * n], axis=1).astype(np.uint8)),
        "basis": BASIS,
        "similarity": frozen(np.array([0.1, 0.2, 0.3, 0.4, 0.5, 1.0, -0.7, np.nan], np.float32)),
    }
    return replace(make_inspection(), **(values | changes))  # type: ignore[arg-type]


def prepared(overlay, inspection):
    overlay.prepare(inspection)
    return overlay


class TestColours:
    def test_of_a_grid_are_those_of_the_newest_step(self, qapp):
        image = prepared(ProjectionOverlay(), small("pca")).image()
        golden = [
            [[4, 40, 80, ALPHA], [5, 50, 100, ALPHA]],
            [[6, 60, 120, ALPHA], [7, 70, 140, ALPHA]],
        ]
        assert image.tolist() == golden

    def test_of_predictions_are_clear_where_nothing_was_predicted(self, qapp):
        look = small("pca", view=LatentView("pca", of="predicted"))
        image = prepared(ProjectionOverlay(), look).image()
        assert image[..., 3].tolist() == [[0, ALPHA], [ALPHA, 0]]

    def test_of_slots_lie_in_their_own_regions(self, qapp):
        look = make_seen(layout="slots")
        image = prepared(ProjectionOverlay(), look).image()
        of_slot = look.colors.reshape(8, 4, 3)[-1]
        assert image.shape == (6, 6, 4)
        for place, slot in (((0, 0), 1), ((0, 5), 0), ((5, 5), 2), ((2, 4), 3)):
            assert image[place].tolist() == [*of_slot[slot].tolist(), ALPHA]

    @pytest.mark.parametrize(
        "look",
        [
            make_seen(layout="global"),
            make_seen(layout="slots", regions=None),
            make_seen(colors=None, basis=None),
            make_seen(of="predicted", rule="none"),
        ],
        ids=["one latent per frame", "slots without regions", "no axes yet", "nothing predicted"],
    )
    def test_are_none_where_there_is_no_place_or_no_latent(self, qapp, look):
        assert prepared(ProjectionOverlay(), look).image() is None
        assert latent_words.why_not(look, "projection")

    def test_have_their_first_axis_beside_them_in_one_map(self):
        image = first_axis_map(small("pca"))
        assert image.tolist() == [
            [[*table("viridis")[red].tolist(), 255] for red in (4, 5)],
            [[*table("viridis")[red].tolist(), 255] for red in (6, 7)],
        ]


class TestSimilarity:
    def test_golden_colours_of_the_fixed_scale(self):
        colored = color_similarity(np.array([[-0.7, 0.0, 0.5, 1.0, np.nan]], np.float32))
        map_, ends = table("CET-L6"), similarity_table()
        assert colored[0, 0].tolist() == colored[0, 1].tolist() == [*map_[0].tolist(), 64]
        assert colored[0, 2].tolist() == [*map_[128].tolist(), int(ends[128, 3])]
        assert colored[0, 3].tolist() == [*map_[255].tolist(), 199]
        assert colored[0, 4].tolist() == [0, 0, 0, 0]

    def test_of_a_grid_is_that_of_the_newest_step_with_the_clicked_patch_outlined(self, qapp):
        overlay = prepared(SimilarityOverlay(), small("similarity"))
        golden = color_similarity(np.array([[0.5, 1.0], [-0.7, np.nan]], np.float32))
        np.testing.assert_array_equal(overlay.image(), golden)
        corners = {(line.x1(), line.y1()) for line in overlay.outline()}
        corners |= {(line.x2(), line.y2()) for line in overlay.outline()}
        assert corners == {(1, 0), (2, 0), (1, 1), (2, 1)}  # columns, rows: the upper right patch

    def test_of_slots_outlines_the_region_of_the_chosen_one(self, qapp):
        look = make_seen("similarity", layout="slots")
        overlay = prepared(SimilarityOverlay(), look)
        assert overlay.image().shape == (6, 6, 4)
        assert sum(line.length() for line in overlay.outline()) == 2 * (2 + 3)

    def test_of_one_latent_per_frame_has_no_map(self, qapp):
        look = make_seen("similarity", layout="global")
        overlay = prepared(SimilarityOverlay(), look)
        assert overlay.image() is None
        assert overlay.outline() == []

    def test_only_rises_in_lightness_and_alpha_for_any_eyes(self):
        colors = table(colormaps.SIMILARITY)
        assert (np.diff(similarity_table()[:, 3].astype(int)) >= 0).all()
        for eyes in ("normal", "protan", "deutan", "tritan"):
            seen = np.array([simulate(color / 255, eyes) for color in colors[::8]])
            light = seen @ [0.2126, 0.7152, 0.0722]
            assert (np.diff(light) > -0.004).all()

    def test_is_told_from_the_error_by_any_eyes(self):
        ours, theirs = table(colormaps.SIMILARITY), table(colormaps.ERROR)
        for eyes in ("normal", "protan", "deutan", "tritan"):
            for n in (96, 128, 160, 192, 224):
                one, other = (simulate(colors[n] / 255, eyes) for colors in (ours, theirs))
                assert cie_distance(one, other) > 10


class TestAttention:
    def test_lines_go_to_every_slot_with_a_share(self, qapp):
        overlay = prepared(AttentionOverlay(), make_seen("attention", layout="slots"))
        assert overlay.links() == [(0, pytest.approx(0.2)), (3, pytest.approx(0.245))]  # 0.5 % is too little

    @pytest.mark.parametrize(
        "look",
        [
            make_seen("attention"),
            make_seen("attention", layout="global"),
            make_seen("attention", layout="slots", attention=None),
            make_seen("attention", layout="slots", view=LatentView("attention")),
        ],
        ids=["grid", "global", "not predicted", "nothing chosen"],
    )
    def test_there_are_none_without_slots_without_a_prediction_or_without_a_choice(self, qapp, look):
        assert prepared(AttentionOverlay(), look).links() == []
        assert latent_words.why_not(look, "attention")

    def test_middles_of_regions_are_their_centres_of_mass(self):
        found = middles(make_regions())
        np.testing.assert_allclose(found[1:], [[1.5, 1], [4.5, 5], [5, 3]])

    def test_a_slot_without_any_region_lies_in_the_middle(self):
        np.testing.assert_allclose(middles(np.zeros((1, 4, 6), np.float32)), [[3, 2]])

    def test_the_table_has_the_largest_share_first_and_what_is_no_object_last(self):
        look = make_seen("attention", layout="slots")
        rows = latent_words.attention_rows(look)
        assert [slot for slot, _ in rows] == [1, 3, 0, 2]
        part = replace(look, attention=frozen(ATTENTION * np.float32(0.75)))
        assert latent_words.attention_rows(part)[-1] == (-1, pytest.approx(0.25))


class TestWords:
    def test_the_basis_is_told_with_id_variance_and_where_it_was_fitted(self):
        assert latent_words.basis_sentence(BASIS).replace("\N{NO-BREAK SPACE}", " ") == (
            "basis 3fa96c01be77 · explains 41 %, 17 %, 9 % · fitted on 384 tokens of frame 12"
        )
        gathered = replace(BASIS, frames=(12, 30))
        assert latent_words.basis_sentence(gathered).endswith("of looks from frame 12 to 30")

    def test_a_place_is_told_by_its_value_on_each_axis(self):
        words = latent_words.place_words(small("pca"), "projection", 1, 1)
        assert words == "row 2, column 2: 0.03, 0.27, 0.55 along the three axes, of frames 6–7"

    def test_a_place_where_nothing_was_predicted_says_so(self):
        look = small("pca", view=LatentView("pca", of="predicted"))
        words = latent_words.place_words(look, "projection", 0, 0)
        assert words == "row 1, column 1: the model was shown this; nothing was predicted here"

    def test_a_latent_without_length_is_like_nothing(self):
        assert "like nothing" in (latent_words.place_words(small("similarity"), "similarity", 1, 1) or "")

    def test_a_slot_is_told_by_its_number(self):
        look = make_seen("similarity", layout="slots")
        words = latent_words.place_words(look, "similarity", 5, 5)
        value = look.similarity.reshape(8, 4)[-1, 2]
        assert words == f"slot 3: similarity {value:.2f} to slot 2"
        told = latent_words.place_words(make_seen("attention", layout="slots"), "attention", 0, 5)
        assert told == "slot 1: 20 % of what the prediction of slot 2 looked at"

    @pytest.mark.parametrize("layout", ["grid", "slots", "global"])
    @pytest.mark.parametrize("layer", latent_words.LAYERS)
    def test_every_layout_has_a_footer_in_every_layer(self, layer, layout):
        look = make_seen(latent_words.KINDS[layer], layout=layout)
        words = "".join(piece[0] for piece in latent_words.latent_footer(look, layer))
        assert words
        if layout == "global":
            assert "one latent per frame: no map to draw" in words

    def test_a_view_that_was_just_asked_for_comes_with_the_next_look(self):
        assert latent_words.why_not(make_inspection(), "projection") == "comes with the next look"


class TestOneLayerAtATime:
    @given(
        layers=st.frozensets(st.sampled_from(sorted(OVERLAYS))),
        before=st.frozensets(st.sampled_from(sorted(OVERLAYS))),
    )
    def test_at_most_one_stands_alone_and_the_newest_wins(self, layers, before):
        after = settled(layers, before)
        assert after <= layers
        assert len(after & ALONE) == min(len(layers & ALONE), 1)
        assert after - ALONE == layers - ALONE
        fresh = (layers - before) & ALONE
        if fresh:
            assert after & ALONE <= fresh

    def test_every_raster_stands_alone(self):
        assert RASTERS < ALONE <= set(OVERLAYS)


@given(st.integers(0, 3), st.floats(0, 359.9), st.floats(0, 359.9))
def test_what_is_chosen_by_a_click_is_where_the_click_was(seed, x, y):
    look = make_seen("similarity")
    look = replace(look, view=LatentView("similarity", at=(140 + x, y)))
    places = latent_maps.chosen_places(look)
    [row], [column] = places.nonzero()
    assert row <= y / 360 * 16 < row + 1 + 1e-9
    assert column <= x / 360 * 16 < column + 1 + 1e-9
