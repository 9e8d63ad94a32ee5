"""The tables of a session file outside /streams: what was said, decided, changed and checked.

Pure data, like `schema.py`, which says what a Column is. All of these tables stand in every file, empty or not.
"""

from __future__ import annotations

from sessions.schema import CHAIN_SEQ, EVENT_KINDS, FIELD_STATES, SOURCE_KINDS, Column, time_column

EVENT_TABLE: tuple[Column, ...] = (
    Column("event_id", "text", "UUID version 7 of the event"),
    time_column("t_onset_mono_ns", "when it began, monotonic clock"),
    time_column("t_onset_wall_ns", "when it began, UTC since 1970"),
    time_column("t_entered_mono_ns", "when it was entered, monotonic clock"),
    Column("kind", "uint8", "kind of event", vocabulary=EVENT_KINDS),
    Column(
        "severity_potential",
        "uint8",
        "credible severity, 255 unknown",
        vocabulary=("none", "property_or_process_only", "reversible_injury", "irreversible_injury_or_death"),
    ),
    Column("actor_id", "text", "pseudonymous id of who did it"),
    Column("supersedes", "text", "event this one corrects or ends"),
    CHAIN_SEQ,
    Column("json", "text", "the event as recorded, canonical JSON"),
)

RECORD_FIELD_TABLE: tuple[Column, ...] = (
    Column("section", "text", "section of the minimum system record"),
    Column("field", "text", "field of the section"),
    Column("value_json", "text", "value, canonical JSON"),
    Column("status", "uint8", "what is known", vocabulary=FIELD_STATES),
    Column("source_kind", "uint8", "kind of source, 255 unknown", vocabulary=SOURCE_KINDS),
    Column("source_ref", "text", "URL, DOI or file hash"),
    Column("asserted_by", "text", "who says so"),
    time_column("t_wall_ns", "when it was said, UTC since 1970"),
    CHAIN_SEQ,
)
DOCUMENT_TABLE: tuple[Column, ...] = (
    CHAIN_SEQ,
    Column("json", "text", "the document as recorded, canonical JSON"),
)

CLAIM_TABLE: tuple[Column, ...] = (
    *(Column(name, "text", text) for name, text in (
        ("claim_id", "identity of the claim"), ("statement", "the claim in words"), ("subject", "what it is about"),
        ("ladder_level", "rung of evidence"), ("system_name", "exact system"), ("modality", "input modality"),
        ("target_representation", "what is predicted"), ("conditions", "robot, camera, task set, data regime"),
        ("benchmark_json", "benchmark, canonical JSON"), ("source_ref", "URL, DOI or file hash"),
        ("boundary_tests_json", "answers to the seven boundary tests, canonical JSON"))),
    Column("action_conditioned", "uint8", "does it depend on actions", vocabulary=("no", "yes")),
    Column("source_kind", "uint8", "kind of source, 255 unknown", vocabulary=SOURCE_KINDS),
    Column("independently_replicated", "uint8", "replicated by others", vocabulary=("no", "yes")),
    CHAIN_SEQ,
)  # fmt: skip

CHANGE_TABLE: tuple[Column, ...] = (
    Column("change_id", "text", "identity of the change"),
    time_column("t_wall_ns", "when it was recorded, UTC since 1970"),
    Column("component", "text", "what changed"),
    CHAIN_SEQ,
    Column("json", "text", "the change as recorded, canonical JSON"),
)

REVIEW_TABLE: tuple[Column, ...] = (
    Column("review_id", "text", "identity of the review"),
    Column("reviewer_id", "text", "pseudonymous id of the reviewer"),
    Column("reviewer_role", "text", "role of the reviewer"),
    Column("independent", "uint8", "independent of the session", vocabulary=("no", "yes")),
    time_column("t_wall_ns", "when it was given, UTC since 1970"),
    Column("target", "text", "event, frame span, claim or whole session"),
    Column("verdict", "text", "verdict of the reviewer"),
    Column("supersedes", "text", "review this one replaces"),
    Column("json", "text", "the review as recorded, canonical JSON"),
)

REDACTION_TABLE: tuple[Column, ...] = (
    Column("redaction_id", "text", "identity of the redaction"),
    time_column("t_wall_ns", "when it was done, UTC since 1970"),
    Column("authorised_by", "text", "who allowed it"),
    Column("performed_by", "text", "who did it"),
    Column("reason", "text", "why"),
    Column("stream", "text", "stream concerned"),
    Column("first_seq", "uint64", "first record number concerned"),
    Column("last_seq", "uint64", "last record number concerned"),
    Column("method", "text", "removed or replaced_by_blur"),
    Column("json", "text", "the redaction as recorded, canonical JSON"),
    Column("signature", "text", "Ed25519 signature, hexadecimal, empty without a key"),
)

PLAN_TABLE: tuple[Column, ...] = (
    Column("plan_id", "uint64", "identity of the planning call"),
    time_column("t_start_mono_ns", "planning began, monotonic clock"),
    time_column("t_end_mono_ns", "planning ended, monotonic clock"),
    Column("model_step", "uint64", "model step the plan started from"),
    Column("planner_config", "uint32", "row of planner_config_json"),
    Column("goal", "uint32", "row of goals"),
    Column("candidate_first", "uint64", "first row in candidates"),
    Column("candidate_count", "uint32", "rows in candidates"),
    Column("candidates_evaluated", "uint32", "candidates scored in all"),
    Column("chosen", "int32", "chosen row within this plan, -1 none"),
    Column("energy_chosen", "float32", "energy of the chosen candidate"),
    Column("energy_second", "float32", "energy of the runner-up"),
    Column("energy_spread", "float32", "standard deviation of the energies"),
    Column(
        "decision",
        "uint8",
        "what was decided",
        vocabulary=(
            "shown",
            "approved",
            "rejected",
            "modified",
            "auto_allowed",
            "blocked_by_monitor",
            "expired",
        ),
    ),
    Column("decided_by", "text", "operator id or rule id"),
    Column("approval_basis", "text", "entry of actions_without_approval, or event id"),
    Column(
        "executed",
        "uint8",
        "was it carried out, outside this program; 255 unknown",
        vocabulary=("no", "yes", "partly"),
    ),
    CHAIN_SEQ,
)
CANDIDATE_TABLE: tuple[Column, ...] = (
    Column("plan_id", "uint64", "planning call it belongs to"),
    Column("rank", "uint32", "rank by energy, 0 best"),
    Column("energy", "float32", "final energy"),
    Column("actions", "float32", "actions, units in action_units", shape=("horizon", "action_dim"), chunk=32),
    Column(
        "predicted_pooled",
        "float32",
        "mean of the predicted latents",
        shape=("horizon", "embed_dim"),
        chunk=32,
    ),
    Column("step_energy", "float32", "energy after each step", shape=("horizon",), chunk=512),
    Column("uncertainty", "float32", "uncertainty of the candidate, NaN not computed"),
)
OUTCOME_TABLE: tuple[Column, ...] = (
    Column("plan_id", "uint64", "planning call it belongs to"),
    Column("offset", "uint32", "steps after the plan"),
    Column("predicted_vs_actual", "float32", "distance of the predicted to the actual latent"),
    Column("step", "uint64", "model step that shows what happened"),
)

CLOCK_TABLE: tuple[Column, ...] = (
    time_column("t_mono_ns", "monotonic clock"),
    time_column("t_wall_ns", "wall clock at the same moment, UTC since 1970"),
)

CHAIN_TABLE: tuple[Column, ...] = (
    Column("seq", "uint64", "record number; equals the row unless records were lost"),
    Column("stream", "uint16", "stream number, 0 for documents, checkpoints, gaps and the end"),
    Column("type", "uint16", "record type"),
    time_column("t_mono_ns", "moment the recorder took the record, monotonic clock"),
    time_column("t_wall_ns", "moment the recorder took the record, UTC since 1970"),
    Column("payload_length", "uint32", "length of the payload", "byte"),
    Column("salt", "uint8", "random salt of the digest, all zero when redacted", shape=(16,), is_random=True),
    Column("digest", "uint8", "SHA-256 of wmr1, salt and payload", shape=(32,), is_random=True),
    Column(
        "link", "uint8", "SHA-256 of the previous link and this record's core", shape=(32,), is_random=True
    ),
    Column("redaction", "int32", "row of /privacy/redactions, -1 none"),
)
CHECKPOINT_TABLE: tuple[Column, ...] = (
    Column("seq", "uint64", "record number of the last record it covers"),
    Column("link", "text", "chain link of that record, hexadecimal"),
    time_column("t_wall_ns", "when it was written, UTC since 1970"),
    Column("signature", "text", "Ed25519 signature, hexadecimal, empty without a key"),
    CHAIN_SEQ,
    Column("json", "text", "the checkpoint as recorded, canonical JSON"),
)
GAP_TABLE: tuple[Column, ...] = (
    Column("stream", "uint16", "stream number"),
    Column("first_index", "uint64", "first capture index lost"),
    Column("last_index", "uint64", "last capture index lost"),
    Column("count", "uint64", "how many were lost"),
    Column("reason", "text", "why"),
    CHAIN_SEQ,
    Column("json", "text", "the gap as recorded, canonical JSON"),
)
DAMAGE_TABLE: tuple[Column, ...] = (
    Column("byte_first", "uint64", "first bad byte of the journal", "byte"),
    Column("byte_count", "uint64", "how many bytes are bad", "byte"),
    Column("seq_first", "uint64", "first record number lost or not following"),
    Column("seq_count", "uint64", "records lost as far as known, 0 for a torn tail"),
    Column("cause", "text", "torn_tail, damaged, not_linked or digest_differs"),
)
OTHER_TABLE: tuple[Column, ...] = (
    CHAIN_SEQ,
    Column("data_offset", "uint64", "first byte of the payload in data", "byte"),
    Column("data_length", "uint32", "length of the payload", "byte"),
)

TABLES: dict[str, tuple[Column, ...]] = {
    "/header/clock": CLOCK_TABLE,
    "/record": DOCUMENT_TABLE,
    "/record/fields": RECORD_FIELD_TABLE,
    "/record/claims": CLAIM_TABLE,
    "/rollouts/plans": PLAN_TABLE,
    "/rollouts/candidates": CANDIDATE_TABLE,
    "/rollouts/outcomes": OUTCOME_TABLE,
    "/events": EVENT_TABLE,
    "/changes": CHANGE_TABLE,
    "/reviews": REVIEW_TABLE,
    "/privacy/redactions": REDACTION_TABLE,
    "/integrity/chain": CHAIN_TABLE,
    "/integrity/checkpoints": CHECKPOINT_TABLE,
    "/integrity/gaps": GAP_TABLE,
    "/integrity/damage": DAMAGE_TABLE,
    "/integrity/documents": DOCUMENT_TABLE,
    "/integrity/other": OTHER_TABLE,
}
"""Every table of a session file outside /streams; all stand in every file, empty or not."""

ROLLOUT_LISTS = {
    "planner_config_json": "planner configurations, canonical JSON",
    "goals": "goals: image frame row, latent or text, with hash",
    "action_names": "names of the action dimensions",
    "action_units": "units of the action dimensions",
}
