"""Events: every field, every kind, exactly back; and the rules that are refused before anything is written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jepa_core.types import EventKind
from sessions import events
from sessions.events import WrongEvent

times = st.integers(0, 2**62)
actors = st.sampled_from(
    ["operator:ada", "operator", "monitor", "recorder", "console", "supervisor:eve", "engine:x"]
)
common = {
    "reason_code": st.sampled_from(events.REASON_CODES),
    "reason_text": st.text(),
    "severity_actual": st.integers(-1, 3),
    "severity_potential": st.integers(-1, 3),
    "credible_worst_outcome": st.text(),
    "remaining_barriers": st.sampled_from(events.BARRIER_STATES),
    "barriers_json": st.lists(st.dictionaries(st.text(), st.text()), max_size=3),
    "state_before": st.text(),
    "state_after": st.text(),
    "proposed_action": st.dictionaries(st.sampled_from(["plan_id", "candidate", "action_index"]), st.integers(0, 99)),
    "action_taken": st.text(),
    "context": st.just(events.CONTEXT_DEFAULT),
    "follow_up": st.dictionaries(st.sampled_from(["owner", "due", "ticket_ref"]), st.text()),
    "confidence": st.sampled_from(events.CONFIDENCES),
    "t_noticed_mono_ns": times,
    "actor_role": st.text(),
}  # fmt: skip


@st.composite
def any_event(draw):
    kind = draw(st.sampled_from(list(EventKind)))
    fields = draw(st.fixed_dictionaries({}, optional=common))
    if kind in events.SUBTYPES:
        fields["subtype"] = draw(st.sampled_from(events.SUBTYPES[kind]))
    if kind is EventKind.ACKNOWLEDGEMENT:
        fields.update(acknowledges=events.uuid7(), ack_status=draw(st.sampled_from(events.ACK_STATES)))
    if kind is EventKind.STOP:
        fields["stop"] = {
            "function": draw(st.sampled_from(events.STOP_FUNCTIONS)),
            "origin": "operator_device",
        }
    if kind is EventKind.TAKEOVER_REQUEST:
        fields["takeover"] = {"requested_by": "planner", "t_request_mono_ns": draw(times), "planned": True}
    if kind is EventKind.CORRECTION:
        fields.update(supersedes=events.uuid7(), changes={"reason_code": "test"})
    return events.new_event(
        kind,
        t_ns=draw(times),
        seq=draw(st.integers(-1, 2**53 - 1)),
        actor=draw(actors),
        entered_ns=draw(times),
        **fields,
    )


@given(any_event())
def test_what_is_built_is_read_back_the_same(event):
    assert events.parse_document(events.build_document(event)) == event


@given(times, times)
def test_the_end_of_an_override_repeats_its_start_and_names_it(begin, length):
    start = events.override_start(t_ns=begin, seq=4, actor="operator:ada", state_before="auto")
    end = events.override_end(start, t_end_ns=begin + length)
    assert end.id != start.id
    assert (end.payload["supersedes"], end.payload["phase"]) == (start.id, "end")
    assert (end.t_ns, end.payload["t_end_mono_ns"], end.payload["state_before"]) == (
        begin,
        begin + length,
        "auto",
    )
    assert events.parse_document(events.build_document(end)) == end


def test_start_end_and_correction_count_as_one_override():
    start = events.override_start(t_ns=10, seq=1, actor="operator:ada")
    end = events.override_end(start, t_end_ns=90)
    reason = events.correction(
        end.id, t_ns=95, seq=2, actor="operator:ada", reason_code="model_surprise", severity_potential=2
    )
    (one,) = events.resolve([start, end, reason])
    assert (one.event, one.end_ns, one.is_retracted) == (start, 90, False)
    assert (one.payload["reason_code"], one.payload["severity_potential"]) == ("model_surprise", 2)


def test_a_later_correction_wins_and_an_undo_is_one_too():
    first = events.near_miss(t_ns=1, seq=1, actor="operator:ada")
    fixes = [
        events.correction(first.id, t_ns=2, seq=1, actor="operator:ada", reason_code="latency"),
        events.correction(first.id, t_ns=3, seq=1, actor="operator:ada", reason_code="test", retracted=True),
    ]
    (one,) = events.resolve([first, *fixes])
    assert one.payload["reason_code"] == "test"
    assert one.is_retracted
    assert one.corrections == tuple(fixes)


def test_corrections_that_point_at_each_other_do_not_hang():
    a = events.correction("b", t_ns=1, seq=1, actor="operator:ada", reason_code="test")
    b = events.correction(a.id, t_ns=2, seq=1, actor="operator:ada", reason_code="test")
    loop = events.Event(a.id, a.t_ns, a.seq, a.kind, a.actor, {**a.payload, "supersedes": b.id})
    assert len(events.resolve([loop, b])) >= 1


@pytest.mark.parametrize(
    "stop",
    [
        {"origin": "console_request", "function": "emergency"},
        {"origin": "console_request", "safety_rated": True},
        {"origin": "somewhere"},
        {"category": "9"},
        {"colour": "red"},
    ],
)
def test_a_stop_the_format_forbids_is_refused(stop):
    with pytest.raises(WrongEvent):
        events.new_event(EventKind.STOP, t_ns=1, seq=1, actor="operator:ada", stop=stop)


def test_an_emergency_stop_that_was_seen_is_recorded():
    stop = {"function": "emergency", "category": "0", "origin": "safety_system_signal", "safety_rated": True}
    event = events.new_event(EventKind.STOP, t_ns=1, seq=1, actor="safety_system", stop=stop)
    assert event.payload["stop"]["function"] == "emergency"


@pytest.mark.parametrize(
    "fields",
    [
        {"reason_code": "because"},
        {"severity_potential": 4},
        {"nonsense": 1},
        {"subtype": "almost"},
        {"stop": {}},
    ],
)
def test_a_near_miss_with_a_wrong_field_is_refused(fields):
    with pytest.raises(WrongEvent):
        events.near_miss(t_ns=1, seq=1, actor="operator:ada", **fields)


def test_a_correction_must_name_something_and_change_something():
    for of, changes in (("", {"reason_code": "test"}), ("x", {}), ("x", {"event_id": "y"})):
        with pytest.raises(WrongEvent):
            events.correction(of, t_ns=1, seq=1, actor="operator:ada", **changes)


def test_uuid7_sorts_by_time_and_says_its_version():
    older, newer = events.uuid7(1_700_000_000_000_000_000), events.uuid7(1_700_000_000_002_000_000)
    assert older < newer
    assert older[14] == "7"
    assert older[19] in "89ab"


def test_half_a_surrogate_pair_in_a_note_is_still_recorded():
    event = events.note("typed \ud83d", t_ns=1, seq=1, actor="operator:ada")
    assert events.parse_document(events.build_document(event)) == event


@pytest.mark.parametrize("document", [b"{}", b"[]", b"null", b"nonsense", b'{"kind":"override"}'])
def test_a_broken_document_is_refused_in_words(document):
    with pytest.raises(WrongEvent):
        events.parse_document(document)
