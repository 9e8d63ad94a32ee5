"""Builds and parses event documents: what a person or the console did, in the fields of session format 4.8.

The only place where an event's payload is made. An event is never edited: `correction` and `override_end` make new
ones that point at the old, and `resolve` says what stands after all of them. Times are monotonic nanoseconds.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jepa_core.errors import RequestError
from jepa_core.types import JSON, Event, EventKind
from sessions import canonical

INITIATORS = ("operator", "supervisor", "monitor", "planner", "controller", "safety_system", "external", "reviewer",
              "console")  # fmt: skip
"""Who can begin an event. `console` is the program's own reports (fault, status)."""

REASON_CODES = ("unexpected_motion", "person_in_zone", "object_in_zone", "model_surprise", "wrong_goal",
                "perception_error", "planner_error", "sensor_fault", "latency", "contact_or_force",
                "operator_preference", "test", "other", "not_given")  # fmt: skip

BARRIER_STATES = ("effective", "limited", "none", "unknown")
CONFIDENCES = ("high", "medium", "low", "")
ACK_STATES = ("seen", "agreed", "disputed", "false_alarm")
STOP_FUNCTIONS = ("normal", "protective", "emergency", "program_pause")
STOP_CATEGORIES = ("0", "1", "2", "unknown")
STOP_ORIGINS = ("console_request", "safety_system_signal", "robot_controller", "operator_device", "unknown")

SUBTYPES: dict[EventKind, tuple[str, ...]] = {
    EventKind.NEAR_MISS: ("contact_avoided", "zone_entry", "late_stop", "wrong_prediction_not_acted_on",
                          "wrong_prediction_acted_on", "missed_hazard", "other"),
    EventKind.OVERRIDE: ("rejected_plan", "modified_plan", "manual_takeover", "threshold_changed",
                         "monitor_disabled", "forced_continue"),
    EventKind.STATUS: ("source_opened", "source_closed", "source_back", "checkpoint_loaded", "checkpoint_refused",
                       "mask_changed", "view_changed", "prediction_note", "calibration", "recovered",
                       "privacy_profile"),
}  # fmt: skip
"""Closed subtypes per kind; a FAULT's subtype is the error's code, others are free."""

UNKNOWN_SEVERITY = -1

_DEFAULTS: dict[str, JSON] = {
    "subtype": "",
    "actor_role": "",
    "t_noticed_mono_ns": -1,
    "reason_code": "not_given",
    "reason_text": "",
    "severity_actual": UNKNOWN_SEVERITY,
    "severity_potential": UNKNOWN_SEVERITY,
    "credible_worst_outcome": "",
    "remaining_barriers": "unknown",
    "barriers_json": [],
    "state_before": "",
    "state_after": "",
    "proposed_action": {},
    "action_taken": "",
    "context": {},
    "follow_up": {},
    "confidence": "",
    "supersedes": "",
    "detail": {},
}
"""Fields every event has, and what stands in them when nothing was said."""

_PER_KIND: dict[EventKind, dict[str, JSON]] = {
    EventKind.OVERRIDE: {"phase": "start", "t_end_mono_ns": -1},
    EventKind.STOP: {"stop": {}},
    EventKind.TAKEOVER_REQUEST: {"takeover": {}},
    EventKind.HANDOVER: {"takeover": {}},
    EventKind.ACKNOWLEDGEMENT: {"acknowledges": "", "ack_status": "seen"},
    EventKind.CORRECTION: {"changes": {}},
}

_STOP_DEFAULTS: dict[str, JSON] = {
    "function": "normal",
    "category": "unknown",
    "origin": "unknown",
    "confirmed": False,
    "confirmed_by": "",
    "t_requested_mono_ns": -1,
    "t_confirmed_mono_ns": -1,
    "safety_rated": False,
}
_TAKEOVER_DEFAULTS: dict[str, JSON] = {
    "requested_by": "",
    "t_request_mono_ns": -1,
    "t_control_taken_mono_ns": -1,
    "latency_ms": -1,
    "planned": False,
}

CONTEXT_DEFAULT: dict[str, JSON] = {"pre_s": 30, "post_s": 10}
"""Seconds around an event a reviewer is shown first."""

CORRECTABLE = frozenset(
    {"subtype", "reason_code", "reason_text", "severity_actual", "severity_potential", "credible_worst_outcome",
     "remaining_barriers", "barriers_json", "action_taken", "follow_up", "confidence", "t_onset_mono_ns",
     "retracted", "text"}
)  # fmt: skip


class WrongEvent(RequestError):
    """The event breaks a rule of the format; it is refused before it is written."""

    code = "wrong_event"


def uuid7(wall_ns: int | None = None) -> str:
    """A UUID version 7: sorts by the time it was made (RFC 9562, 5.7)."""
    milliseconds = (time.time_ns() if wall_ns is None else wall_ns) // 1_000_000
    raw = bytearray((milliseconds & (2**48 - 1)).to_bytes(6, "big") + os.urandom(10))
    raw[6] = 0x70 | (raw[6] & 0x0F)
    raw[8] = 0x80 | (raw[8] & 0x3F)
    text = raw.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def new_event(
    kind: EventKind,
    *,
    t_ns: int,
    seq: int,
    actor: str,
    entered_ns: int | None = None,
    wall_ns: int | None = None,
    **fields: Any,
) -> Event:
    """An event with every field of its kind, those not given at their stated default.

    t_ns        when it began; may lie before the moment of entry
    seq         frame on the screen, -1 none
    actor       "operator:ada", "monitor", "recorder", "console", …
    entered_ns  when it was entered, default t_ns
    fields      fields of session format 4.8; raises WrongEvent for one that the kind does not have
    """
    return _build(uuid7(wall_ns), kind, t_ns=t_ns, seq=seq, actor=actor, entered_ns=entered_ns, fields=fields)


def override_start(*, t_ns: int, seq: int, actor: str, **fields: Any) -> Event:
    """The press. Its release is `override_end`; the two count as one override."""
    fields.setdefault("subtype", "manual_takeover")
    fields.setdefault("context", CONTEXT_DEFAULT)
    return new_event(EventKind.OVERRIDE, t_ns=t_ns, seq=seq, actor=actor, phase="start", **fields)


def override_end(start: Event, *, t_end_ns: int, seq: int | None = None, **fields: Any) -> Event:
    """The release: repeats the press and names it in `supersedes`."""
    if start.kind is not EventKind.OVERRIDE or start.payload.get("phase") != "start":
        raise WrongEvent("Only the start of an override can be ended.", "Give the event of the press.")
    repeated = {name: value for name, value in start.payload.items() if name not in _IDENTITY}
    repeated.update(fields)
    repeated.update(phase="end", t_end_mono_ns=t_end_ns, supersedes=start.id)
    return _build(
        uuid7(), EventKind.OVERRIDE, t_ns=start.t_ns, seq=start.seq if seq is None else seq, actor=start.actor,
        entered_ns=t_end_ns, fields=repeated,
    )  # fmt: skip


def near_miss(*, t_ns: int, seq: int, actor: str, **fields: Any) -> Event:
    """What a person says; may point at a flag in `detail`."""
    fields.setdefault("subtype", "other")
    fields.setdefault("context", CONTEXT_DEFAULT)
    return new_event(EventKind.NEAR_MISS, t_ns=t_ns, seq=seq, actor=actor, **fields)


def note(text: str, *, t_ns: int, seq: int, actor: str) -> Event:
    return new_event(EventKind.NOTE, t_ns=t_ns, seq=seq, actor=actor, detail={"text": text})


def bookmark(*, t_ns: int, seq: int, actor: str, text: str = "") -> Event:
    return new_event(
        EventKind.BOOKMARK, t_ns=t_ns, seq=seq, actor=actor, detail={"text": text} if text else {}
    )


def fault(code: str, what: str, *, t_ns: int, seq: int = -1, actor: str = "console", **detail: Any) -> Event:
    """The console's own report that something broke."""
    detail = {"what": what, **detail}
    return new_event(EventKind.FAULT, t_ns=t_ns, seq=seq, actor=actor, subtype=code, detail=detail)


def status(subtype: str, *, t_ns: int, seq: int = -1, actor: str = "console", **detail: Any) -> Event:
    return new_event(EventKind.STATUS, t_ns=t_ns, seq=seq, actor=actor, subtype=subtype, detail=detail)


def correction(of: str, *, t_ns: int, seq: int, actor: str, **changes: Any) -> Event:
    """A new event that changes what an older one says. `changes` holds exactly the fields that are meant to change.

    `retracted=True` is how an undo is written. Raises WrongEvent for a field that may not be corrected.
    """
    if not of:
        raise WrongEvent("A correction must name the event it corrects.")
    if wrong := sorted(set(changes) - CORRECTABLE):
        raise WrongEvent(f"{', '.join(wrong)} cannot be corrected.", "Make a new event instead.")
    if not changes:
        raise WrongEvent("A correction must change something.")
    stated = {name: value for name, value in changes.items() if name in _DEFAULTS}
    return new_event(
        EventKind.CORRECTION, t_ns=t_ns, seq=seq, actor=actor, supersedes=of, changes=dict(changes), **stated
    )


def build_document(event: Event) -> bytes:
    """The journal payload of an event: canonical JSON, with `document` saying what it is."""
    return canonical.encode({"document": "event", **event.payload})


def parse_document(document: bytes | str | Mapping[str, Any]) -> Event:
    """The event of a journal payload. Raises WrongEvent where it is not one."""
    try:
        fields = dict(canonical.decode(document) if isinstance(document, bytes | str) else document)
        fields.pop("document", None)
        kind = EventKind[str(fields["kind"]).upper()]
        return Event(
            id=str(fields["event_id"]),
            t_ns=int(fields["t_onset_mono_ns"]),
            seq=int(fields["seq"]),
            kind=kind,
            actor=_actor(str(fields["initiated_by"]), str(fields["actor_id"])),
            payload=fields,
        )
    except (canonical.NotCanonical, KeyError, TypeError, ValueError) as error:
        raise WrongEvent(
            "A recorded event cannot be read.", "", f"{type(error).__name__}: {error}"
        ) from error


@dataclass(frozen=True, slots=True)
class Resolved:
    """One thing that happened, after its end and its corrections."""

    event: Event  # the first one recorded
    payload: Mapping[str, JSON]  # what stands now
    end_ns: int  # of an override, -1 still held or not a span
    corrections: tuple[Event, ...]
    is_retracted: bool


def resolve(events: Iterable[Event]) -> list[Resolved]:
    """What stands after all corrections, in order of onset. A correction of nothing known is kept as itself."""
    ordered = list({event.id: event for event in events}.values())
    known = {event.id: event for event in ordered}
    followers: dict[str, list[Event]] = {}
    roots: list[Event] = []
    for event in ordered:
        root = _root(event, known)
        if root is event:
            roots.append(event)
        else:
            followers.setdefault(root.id, []).append(event)
    return sorted(
        (_merge(root, followers.get(root.id, [])) for root in roots), key=lambda item: item.event.t_ns
    )


def _root(event: Event, known: Mapping[str, Event]) -> Event:
    """Follow `supersedes` to the first event; in a circle (a broken file) the oldest of it stands for all."""
    seen = {event.id: event}
    while (older := known.get(str(event.payload.get("supersedes", "")))) is not None:
        if older.id in seen:
            return min(seen.values(), key=lambda item: (item.t_ns, item.id))
        seen[older.id] = event = older
    return event


def _merge(root: Event, followers: Sequence[Event]) -> Resolved:
    payload = dict(root.payload)
    end_ns = int(payload.get("t_end_mono_ns", -1) or -1)  # type: ignore[arg-type]
    for event in followers:
        if event.kind is EventKind.CORRECTION:
            changes = event.payload.get("changes")
            payload.update(changes if isinstance(changes, dict) else {})
        elif event.payload.get("phase") == "end":
            end_ns = int(event.payload.get("t_end_mono_ns", -1))  # type: ignore[arg-type]
            payload.update(phase="end", t_end_mono_ns=end_ns)
    corrections = tuple(event for event in followers if event.kind is EventKind.CORRECTION)
    return Resolved(root, payload, end_ns, corrections, bool(payload.get("retracted", False)))


_IDENTITY = frozenset(
    {"event_id", "kind", "seq", "initiated_by", "actor_id", "t_onset_mono_ns", "t_entered_mono_ns"}
)


def _build(
    event_id: str,
    kind: EventKind,
    *,
    t_ns: int,
    seq: int,
    actor: str,
    entered_ns: int | None,
    fields: Mapping[str, Any],
) -> Event:
    allowed = {**_DEFAULTS, **_PER_KIND.get(kind, {})}
    if wrong := sorted(set(fields) - set(allowed)):
        raise WrongEvent(f"An event of kind {kind.name.lower()} has no field {', '.join(wrong)}.")
    initiated_by, actor_id = _initiator(actor)
    payload: dict[str, JSON] = {
        "event_id": event_id,
        "kind": kind.name.lower(),
        "seq": int(seq),
        "initiated_by": initiated_by,
        "actor_id": actor_id,
        "t_onset_mono_ns": int(t_ns),
        "t_entered_mono_ns": int(t_ns if entered_ns is None else entered_ns),
        **allowed,
        **canonical.plain(fields),
    }
    if payload["t_noticed_mono_ns"] == -1:
        payload["t_noticed_mono_ns"] = payload["t_entered_mono_ns"]
    if kind is EventKind.STOP:
        payload["stop"] = _checked_stop(payload["stop"])
    if kind in (EventKind.TAKEOVER_REQUEST, EventKind.HANDOVER):
        payload["takeover"] = {**_TAKEOVER_DEFAULTS, **_mapping(payload["takeover"], "takeover")}
    _check(kind, payload)
    return Event(event_id, int(t_ns), int(seq), kind, actor, payload)


def _check(kind: EventKind, payload: Mapping[str, JSON]) -> None:
    subtypes = SUBTYPES.get(kind)
    if subtypes is not None:
        _one_of(payload, "subtype", ("", *subtypes))
    _one_of(payload, "reason_code", REASON_CODES)
    _one_of(payload, "remaining_barriers", BARRIER_STATES)
    _one_of(payload, "confidence", CONFIDENCES)
    _one_of(payload, "severity_actual", (UNKNOWN_SEVERITY, 0, 1, 2, 3))
    _one_of(payload, "severity_potential", (UNKNOWN_SEVERITY, 0, 1, 2, 3))
    if kind is EventKind.OVERRIDE:
        _one_of(payload, "phase", ("start", "end"))
        if payload["phase"] == "end" and not payload["supersedes"]:
            raise WrongEvent("The end of an override must name its start.")
    if kind is EventKind.ACKNOWLEDGEMENT:
        _one_of(payload, "ack_status", ACK_STATES)
        if not payload["acknowledges"]:
            raise WrongEvent("An acknowledgement must name what it acknowledges.")
    if kind is EventKind.CORRECTION and not payload["supersedes"]:
        raise WrongEvent("A correction must name the event it corrects.")


def _checked_stop(value: JSON) -> JSON:
    """The rules of 4.8.1: a request of the console is never safety rated and never an emergency stop."""
    given = _mapping(value, "stop")
    if wrong := sorted(set(given) - set(_STOP_DEFAULTS)):
        raise WrongEvent(f"A stop has no field {', '.join(wrong)}.")
    stop: dict[str, JSON] = {**_STOP_DEFAULTS, **given}
    _one_of(stop, "function", STOP_FUNCTIONS)
    _one_of(stop, "category", STOP_CATEGORIES)
    _one_of(stop, "origin", STOP_ORIGINS)
    if stop["origin"] == "console_request":
        if stop["safety_rated"]:
            raise WrongEvent("A stop requested by the console is not safety rated.")
        if stop["function"] == "emergency":
            raise WrongEvent(
                "The console never performs an emergency stop; it can only record that one was seen."
            )
    return stop


def _one_of(payload: Mapping[str, JSON], name: str, allowed: Sequence[JSON]) -> None:
    if payload[name] not in allowed:
        choices = ", ".join(str(choice) for choice in allowed if choice != "")
        raise WrongEvent(f"{name} is {payload[name]!r}; it must be one of {choices}.")


def _mapping(value: JSON, name: str) -> dict[str, JSON]:
    if not isinstance(value, dict):
        raise WrongEvent(f"{name} must be an object.")
    return value


def _initiator(actor: str) -> tuple[str, str]:
    initiated_by, _, actor_id = canonical.mended(actor).partition(":")
    if initiated_by in INITIATORS and initiated_by != "console":
        return initiated_by, actor_id
    return "console", canonical.mended(actor)


def _actor(initiated_by: str, actor_id: str) -> str:
    if initiated_by == "console":
        return actor_id
    return f"{initiated_by}:{actor_id}" if actor_id else initiated_by
