"""The sentences of the load sheet and of `main.py checkpoint`: each rests on a field of the report."""

from __future__ import annotations

import pytest

from jepa_core.types import ActionSpec
from tests.widgets.builders import make_checkpoint, make_examined, make_report
from widgets import checkpoint_words as words

GB = 1_000_000_000


def test_what_a_checkpoint_can_and_cannot_do_is_said_of_each_ability():
    said = {able.name: able for able in words.abilities(make_checkpoint())}

    assert said["Masked prediction"].is_able
    assert said["Video"].is_able
    assert not said["Actions"].is_able
    assert "no roll-outs" in said["Actions"].text


@pytest.mark.parametrize(
    ("layout", "sentence"), [("grid", "map over the picture"), ("slots", "one number per slot"), ("global", "no map to draw")]
)  # fmt: skip
def test_what_its_latents_are_is_said_and_no_map_is_promised_where_there_is_none(layout, sentence):
    assert sentence in words.abilities(make_checkpoint(layout=layout))[-1].text


def test_a_model_that_predicts_from_actions_is_not_said_to_have_no_error():
    able = words.abilities(make_checkpoint(abilities=frozenset({"actions"})))[0]

    assert not able.is_able
    assert "its prediction error is" in able.text


def test_a_match_counts_every_kind_that_differs():
    report = make_report(matched=300, missing=("a", "b"), unexpected=("c",), reshaped=("d: …",))

    assert words.match(report) == "300 of 303 tensors matched, 2 missing, 1 unexpected, 1 of another shape"
    assert words.match(make_report()) == "588 of 588 tensors matched"


def test_parts_that_are_absent_are_named():
    assert words.absent(make_report()) == ""
    assert "no predictor and target encoder" in words.absent(
        make_report(absent_parts=("predictor", "target_encoder"))
    )


@pytest.mark.parametrize(
    ("said", "value", "source"),
    [
        ("64 px (cell.params.yaml, data.crop_size)", "64 px", "cell.params.yaml, data.crop_size"),
        ("0 of 10: the rule where several are non-zero (norms 0.1, 0.2)", "0 of 10", "the rule where several are non-zero (norms 0.1, 0.2)"),
        ("2 (a.yaml gives no model.pred_num_heads: as the encoder)", "2", "a.yaml gives no model.pred_num_heads: as the encoder"),
        ("the only one of this system", "the only one of this system", ""),
    ],
)  # fmt: skip
def test_a_value_is_told_from_where_it_was_taken(said, value, source):
    taken = words.taken(make_report(assumed={"what": said}))

    assert taken == (words.Taken("what", value, source),)


@pytest.mark.parametrize(
    ("needed", "free", "verdict"),
    [(8 * GB, 10 * GB, "fits"), (9 * GB, 10 * GB, "tight"), (11 * GB, 10 * GB, "too large"), (9 * GB, -1, ""), (0, 10 * GB, "")],
)  # fmt: skip
def test_memory_fits_only_where_a_forecast_that_is_too_low_would_fit_too(needed, free, verdict):
    assert words.fit(needed, free) == verdict


def test_memory_says_what_is_needed_and_what_is_free():
    report = make_report(memory_bytes=2_400_000_000, device_free_bytes=22_100_000_000)

    assert words.memory(report, "cuda:0") == "needs about 2.4 GB; 22.1 GB are free on cuda:0: it fits"
    assert "what is free on cpu is not known" in words.memory(make_report(), "cpu")


def test_forecasts_are_read_with_and_without_size_and_frames():
    report = make_report(forecasts={"256 px, 16 frames, bfloat16": 1, "224 px, float32": 2, "nonsense": 3})

    assert [item.words() for item in words.forecasts(report)] == [
        "256 px, 16 frames, bfloat16",
        "224 px, 1 frame, float32",
    ]


def test_the_first_choice_that_fits_is_offered():
    report = make_examined(device_free_bytes=2 * GB)

    found = words.fitting(report)

    assert found is not None
    assert found.words() == "192 px, 16 frames, float32"
    assert words.fitting(make_examined(device_free_bytes=1)) is None


def test_an_action_of_many_numbers_is_told_by_its_first_and_last():
    few = ActionSpec(("x", "y"), ("m", "m"), (-1, -1), (1, 1))
    mixed = ActionSpec(("x", "grip"), ("m", "closedness"), (-1, -1), (1, 1))
    many = ActionSpec(tuple(f"a{n}" for n in range(10)), ("std",) * 10, (-1,) * 10, (1,) * 10)

    assert words.action_words(make_checkpoint(action=few)) == "x, y, in m"
    assert words.action_words(make_checkpoint(action=mixed)) == "x (m), grip (closedness)"
    assert words.action_words(make_checkpoint(action=many)) == "10 numbers, a0 … a9, in std"
    assert words.action_words(make_checkpoint()) == ""


def test_a_hint_for_the_command_line_is_said_in_the_words_of_the_sheet():
    hint = "Use a shorter clip (--clip-frames), --dtype bfloat16, or --device cpu."

    assert words.hint_on_screen(hint) == (
        "Use a shorter clip (Frames below), the precision bfloat16, or the device cpu."
    )
    assert words.hint_on_screen("Choose another with --config.") == "Choose another as Config below."
