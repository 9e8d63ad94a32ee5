"""The ten laws of the architecture, and for each the tests that fail when it is broken.

An index, so that nobody has to search: a law without a test, or a test that was renamed or taken away, fails here.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass

import pytest

from tests.architecture.tree import ROOT


@dataclass(frozen=True)
class Law:
    title: str
    tests: tuple[str, ...]  # "folder/file.py::test" below tests/


# fmt: off
LAWS = {
    1: Law("Rooms only look down", (
        "architecture/test_layers.py::test_every_import_contract_is_kept",
        "architecture/test_layers.py::test_the_contracts_notice_a_breach",
    )),
    2: Law("No Qt below the glass", (
        "architecture/test_layers.py::test_every_import_contract_is_kept",
        "architecture/test_layers.py::test_the_lower_rooms_run_where_qt_and_pyav_are_not_installed",
        "console/test_headless.py::test_an_engine_in_its_own_process_gives_the_same_bytes",
    )),
    3: Law("Widgets paint", (
        "architecture/test_layers.py::test_widgets_bring_no_torch_no_files_and_no_decoder",
        "architecture/test_every_extension.py::test_every_panel_builds_alone_and_every_control_in_it_has_a_name",
    )),
    4: Law("One owner per resource", (
        "sessions/test_source_thread.py::test_only_one_thread_touches_the_source_and_it_has_a_name",
        "console/test_bridge.py::test_receivers_run_on_the_gui_thread",
        "jepa_core/test_frame_ring.py::test_no_holder_ever_sees_another_frames_pixels",
        "jepa_core/test_engine_process.py::test_window_side_never_imports_torch",
    )),
    5: Law("Capture never waits", (
        "console/test_pipeline.py::test_a_model_that_hangs_does_not_hold_the_source",
        "console/test_pipeline.py::test_a_screen_that_never_takes_a_frame_does_not_hold_the_source",
        "jepa_core/test_engine_process.py::test_stopped_engine_process_does_not_block_offer_and_holds_few_slots",
        "sessions/test_recorder.py::test_a_blocked_disk_never_blocks_a_producer",
        "jepa_core/test_lanes.py::TestByteLane::test_full_lane_lets_go_of_pixels_but_keeps_the_row",
    )),
    6: Law("Every number knows its frame", (
        "jepa_core/test_engine_process.py::test_barcode_under_every_look_is_the_number_of_its_frame",
        "screens/test_barcode.py::test_every_saved_overlay_lies_on_the_frame_it_names",
        "screens/test_barcode.py::test_the_window_never_shows_an_overlay_on_another_frame_without_saying_so",
        "widgets/test_frame_view.py::test_header_counts_how_stale_the_prediction_is",
        "jepa_core/test_clip.py::test_clip_is_in_order_ends_at_the_newest_frame_and_repeats_none",
    )),
    7: Law("What a person did is sacred", (
        "console/test_pipeline.py::test_an_event_is_confirmed_once_and_found_in_the_file",
        "sessions/test_recorder.py::test_an_event_is_confirmed_only_after_its_sync_returned",
        "kill/test_kill.py::test_what_was_confirmed_before_a_kill_is_found_after_recovery",
        "sessions/test_recorder.py::test_when_nothing_can_be_written_events_fail_and_say_so",
        "sessions/test_events.py::test_a_later_correction_wins_and_an_undo_is_one_too",
    )),
    8: Law("Live and replay are one path", (
        "console/test_pipeline.py::test_replay_goes_through_the_same_slots_as_live",
        "sessions/sources/test_every_source.py::test_every_source_counts_up_in_frames_and_time",
        "sessions/sources/test_session_file.py::test_frames_come_with_their_recorded_numbers_times_and_bytes",
    )),
    9: Law("A half-loaded model is not a model", (
        "jepa_core/test_checkpoint.py::test_file_with_one_tensor_missing_is_refused_by_name",
        "jepa_core/test_checkpoint.py::test_file_with_one_tensor_renamed_is_refused_by_both_names",
        "jepa_core/test_checkpoint.py::test_file_with_one_tensor_reshaped_is_refused_by_name_and_both_shapes",
        "jepa_core/test_checkpoint.py::test_encoder_without_its_predictor_loads_with_fewer_abilities",
        "architecture/test_house_rules.py::test_nothing_loads_code_or_half_a_model",
    )),
    10: Law("The model lives in its own process", (
        "architecture/test_layers.py::test_the_process_of_the_window_never_imports_torch",
        "console/test_pipeline.py::test_killing_the_engine_costs_no_frame_and_predictions_come_back",
        "jepa_core/test_engine_process.py::test_engine_killed_in_the_middle_comes_back_and_looks_again",
        "jepa_core/test_engine_process.py::test_silent_engine_is_killed_and_replaced",
    )),
}
# fmt: on

EVERY = [(number, test) for number, law in LAWS.items() for test in law.tests]


def test_there_are_ten_laws_and_each_is_guarded():
    assert list(LAWS) == list(range(1, 11))
    assert [number for number, law in LAWS.items() if len(law.tests) < 2] == []


@pytest.mark.parametrize(
    ("number", "test"), EVERY, ids=[f"{number}-{test.split('::')[-1]}" for number, test in EVERY]
)
def test_the_guard_of_a_law_is_there(number: int, test: str):
    file, *names = test.split("::")
    scope: ast.AST = ast.parse((ROOT / "tests" / file).read_text(encoding="utf-8"))
    for name in names:
        found = [node for node in ast.iter_child_nodes(scope) if getattr(node, "name", None) == name]
        assert found, f"law {number} lost a guard: {test}"
        scope = found[0]
    skips = [
        ast.unparse(mark) for mark in getattr(scope, "decorator_list", []) if "skip" in ast.unparse(mark)
    ]
    assert skips == [], f"a guard of law {number} is switched off"
