"""The layout of a session: every name, type, unit and sentence that is written. Read this file first.

Pure data. The journal, the fold, the verifier and the reader all take their names from here, so that a column is
spelled once. `docs/session-format.md` is the contract in words.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

FORMAT = "wm-session"
SCHEMA_VERSION = "1.0.0"
NOTICE = (
    "This file records what an experimental console observed. It is not a safety-rated system, it does not perform or "
    "replace an emergency stop or protective stop, and its scores are not probabilities of harm. Absence of an alarm "
    "is not evidence of safety."
)

MISSING_ROW = 2**64 - 1
"""An unsigned row or sequence number that is not there: a frame from before the recording, or padding."""


class RecordType(enum.IntEnum):
    """Types of a journal record (session format, 2.3)."""

    FRAME = 1
    STEP = 2
    SAMPLE = 3
    PLAN = 4
    MONITOR = 5
    LATENTS = 6
    DOCUMENT = 10
    CHECKPOINT = 20
    GAP = 30
    END = 99


STREAMLESS = frozenset({RecordType.DOCUMENT, RecordType.CHECKPOINT, RecordType.GAP, RecordType.END})

CAMERA_STREAM, MODEL_STREAM, ACTION_STREAM, STATE_STREAM = 1, 2, 3, 4
"""Stream numbers this writer gives out."""


@dataclass(frozen=True, slots=True)
class Column:
    """One dataset of a table: `rows` long, each row of `shape`."""

    name: str
    dtype: str  # numpy name, or "text" (variable-length UTF-8)
    long_name: str
    units: str = "1"
    shape: tuple[str | int, ...] = ()  # per row; names are sizes that the stream states
    chunk: int = 4096  # rows
    vocabulary: tuple[str, ...] = ()  # of a closed uint8 vocabulary, in order from 0
    in_payload: bool = True  # False: exists only because of the file
    is_random: bool = False  # hashes and salts: deflate would only cost time

    def row_shape(self, sizes: Mapping[str, int]) -> tuple[int, ...]:
        return tuple(part if isinstance(part, int) else int(sizes[part]) for part in self.shape)


def time_column(name: str, long_name: str) -> Column:
    return Column(name, "int64", long_name, "ns")


CHAIN_SEQ = Column("chain_seq", "uint64", "record number in /integrity/chain", in_payload=False)

FRAME_COLUMNS: tuple[Column, ...] = (
    Column("seq", "uint64", "frame number shown everywhere, one counter for all sources"),
    Column(
        "capture_index", "uint64", "count of captured frames of this source; a jump means frames not recorded"
    ),
    time_column("t_capture_mono_ns", "best estimate of the exposure time, monotonic clock"),
    time_column("t_capture_wall_ns", "best estimate of the exposure time, UTC since 1970"),
    time_column("t_capture_error_ns", "stated bound on the capture time, -1 unknown"),
    time_column("t_received_mono_ns", "moment the program got the frame, monotonic clock"),
    time_column("source_pts_ns", "position in the source file, -1 for a live source"),
    Column("flags", "uint8", "bits: 1 corrupt, 2 duplicate, 4 blurred at capture, 8 redacted"),
    Column("data_length", "uint32", "length of the encoded picture in data, 0 without pixels", "byte"),
    Column("decoded_crc32", "uint32", "CRC-32 of the decoded RGB bytes"),
    Column("data_offset", "uint64", "first byte of the encoded picture in data", "byte", in_payload=False),
    CHAIN_SEQ,
)
FRAME_DATA = Column("data", "uint8", "encoded pictures, end to end", chunk=262144)

STEP_COLUMNS: tuple[Column, ...] = (
    Column("step", "uint64", "number of this step in this file"),
    Column("look", "uint64", "number of this look since the checkpoint was loaded"),
    Column("seq", "uint64", "frame number of the newest frame of the clip"),
    time_column("t_mono_ns", "capture time of the newest frame of the clip, monotonic clock"),
    Column(
        "clip",
        "uint64",
        "camera rows the model saw, in order; 2^64-1 not in this file",
        shape=("frames_per_clip",),
        chunk=512,
    ),
    Column(
        "clip_seq",
        "uint64",
        "frame numbers the model saw, in order; 2^64-1 padding",
        shape=("frames_per_clip",),
        chunk=512,
    ),
    Column("frame_first", "uint64", "first camera row used as context, 2^64-1 not in this file"),
    Column("frame_last", "uint64", "last camera row used as context, 2^64-1 not in this file"),
    Column("target_first", "uint64", "first camera row that was predicted, 2^64-1 not in this file"),
    Column("target_last", "uint64", "last camera row that was predicted, 2^64-1 not in this file"),
    time_column("t_start_mono_ns", "clip complete, monotonic clock"),
    time_column("t_end_mono_ns", "result on the host, monotonic clock"),
    Column("surprise", "float32", "scalar score by the attribute surprise_formula"),
    Column("mask_seed", "int64", "seed of this step's masks, -1 for a drawn region"),
    Column(
        "token_error",
        "float32",
        "distance of predicted to actual latent, NaN where not predicted",
        shape=("grid_t", "grid_h", "grid_w"),
        chunk=8,
    ),
    Column(
        "crop",
        "float64",
        "what the model saw: x, y, width, height in the recorded frame",
        "pixel",
        shape=(4,),
        chunk=512,
    ),
    Column(
        "token_role",
        "uint8",
        "part a token played",
        shape=("grid_t", "grid_h", "grid_w"),
        chunk=64,
        vocabulary=("unused", "context", "target", "both"),
    ),
    Column("pooled_predicted", "float32", "mean of the predicted latents", shape=("embed_dim",), chunk=32),
    Column("pooled_target", "float32", "mean of the target latents", shape=("embed_dim",), chunk=32),
    Column("pooled_context", "float32", "mean of the context latents", shape=("embed_dim",), chunk=32),
    Column(
        "effective_rank",
        "float32",
        "effective rank of the pooled targets over window_steps, NaN not computed",
    ),
    Column(
        "feature_std_mean",
        "float32",
        "mean standard deviation of the pooled targets over window_steps, NaN not computed",
    ),
    Column(
        "signals",
        "float64",
        "signals of this step, in the order of the attribute signal_names",
        shape=("n_signals",),
        chunk=512,
    ),
    CHAIN_SEQ,
)

SLOT_COLUMNS: tuple[Column, ...] = (
    Column(
        "slot_region",
        "float32",
        "share of each patch of the newest frame that a slot explains, NaN not known",
        shape=("grid_h", "region_h", "region_w"),
        chunk=8,
    ),
    Column(
        "slot_order",
        "int32",
        "which predicted slot was compared with each real one in the newest predicted frame, -1 none",
        shape=("grid_h",),
        chunk=512,
    ),
)
"""Of a model stream whose layout is slots, after its other columns."""

NUMERIC_COLUMNS: tuple[Column, ...] = (
    time_column("t_mono_ns", "capture time of the frame it belongs to, monotonic clock"),
    Column("seq", "uint64", "frame number of the frame it belongs to"),
    Column(
        "data", "float32", "numbers, in the order of the attribute names", shape=("n_numbers",), chunk=512
    ),
    Column("valid", "uint8", "was anything known of this frame", vocabulary=("no", "yes")),
    CHAIN_SEQ,
)
"""What the body did or how it stood (session format, 4.6); a row per recorded frame."""

MONITOR_COLUMNS: tuple[Column, ...] = (
    time_column("t_mono_ns", "moment of the decision, monotonic clock"),
    Column("step", "int64", "model step it judged, -1 none"),
    Column("signal", "float32", "signal values", shape=("n_signals",), chunk=512),
    Column("statistic", "float32", "statistic of each rule", shape=("n_rules",), chunk=512),
    Column("threshold", "float32", "threshold of each rule", shape=("n_rules",), chunk=512),
    Column(
        "rule_state",
        "uint8",
        "state of each rule",
        shape=("n_rules",),
        vocabulary=("quiet", "warning", "alarm", "disabled", "not_calibrated"),
    ),
    Column(
        "state",
        "uint8",
        "state of the monitor",
        vocabulary=("ok", "caution", "ask_for_help", "stop_recommended", "stop_requested", "fault"),
    ),
    time_column("age_of_input_ns", "age of the newest frame when it was judged"),
    CHAIN_SEQ,
)

EVENT_KINDS = ("note", "override", "near_miss", "stop", "incident", "acknowledgement", "monitor_alarm", "blocked_action",
               "takeover_request", "handover", "fault", "bookmark", "correction", "status")  # fmt: skip

SOURCE_KINDS = ("primary_paper", "official_repository", "model_card", "benchmark_documentation", "safety_case",
                "regulator_or_standard", "independent_replication", "own_measurement", "operator_statement",
                "vendor_statement", "weak")  # fmt: skip
FIELD_STATES = ("stated", "unknown", "not_applicable", "withheld")

RECORD_SECTIONS: dict[str, tuple[str, ...]] = {
    "model_identity": (
        "system_name", "system_name_other", "checkpoint_name", "checkpoint_sha256", "checkpoint_bytes",
        "checkpoint_uri", "code_repository", "code_commit", "release_tag", "model_size_parameters",
        "encoder_variant", "predictor_variant", "tokenizer_or_patching", "input_normalisation",
        "target_encoder_mode", "inference_dtype", "loaded_tensors_report",
    ),
    "objective": (
        "prediction_kind", "mask_strategy", "loss_terms", "collapse_prevention", "pixel_reconstruction_used",
        "pretrained_encoder_used",
    ),
    "data": (
        "training_sources", "post_training_sources", "video_hours", "episode_count", "robot_trajectory_data",
        "excluded_domains", "provenance_limits", "privacy_constraints", "known_bias", "licences",
    ),
    "evaluation_boundary": (
        "benchmarks", "frozen_backbone_tests", "anticipation_tasks", "control_tasks", "robot_hardware", "sensors",
        "environment_setup", "action_space", "horizon", "ood_tests", "operating_envelope",
    ),
    "action_stack": (
        "planner", "planner_config", "cost_or_reward_model", "controller", "safety_monitor", "human_override",
        "fallback_controller", "emergency_stop_device", "actions_without_approval", "component_boundaries",
    ),
    "uncertainty_and_failure": (
        "signals", "thresholds", "ask_for_help_cases", "stop_cases", "blocked_actions", "failed_predictions",
        "edge_cases", "near_misses",
    ),
    "change_control": (
        "baseline_session", "model_updates", "camera_changes", "robot_body_changes", "planner_cost_changes",
        "goal_or_prompt_changes", "tokenizer_changes", "task_set_changes", "retest_triggers", "change_process_ref",
    ),
    "audit_evidence": (
        "run_logs", "model_card", "system_card", "data_lineage", "configuration_hashes", "action_traces",
        "safety_case_links", "incident_reports", "audit_trail_ref",
    ),
    "post_deployment_evidence": (
        "drift_signals", "blocked_actions", "operator_overrides", "near_misses", "incidents", "field_failures",
        "model_updates", "review_triggers", "monitoring_ref",
    ),
}  # fmt: skip

SYSTEM_NAMES = ("LeCun 2022 proposal", "I-JEPA", "V-JEPA", "V-JEPA 2", "V-JEPA 2-AC", "V-JEPA 2.1", "C-JEPA",
                "LeWorldModel", "other")  # fmt: skip

HEADER_TEXT = (
    "title", "purpose", "session_kind", "site", "cell", "platform", "robot_body", "operator_id", "operator_role",
    "end_reason", "clock_mono_source", "clock_wall_source", "authority_level", "stop_integration", "config_sha256",
    "previous_journal", "previous_chain_head",
)  # fmt: skip
"""Text attributes of /header, besides supervisors_json."""
HEADER_NUMBERS = {
    "start_mono_ns": "int64", "start_wall_ns": "int64", "end_mono_ns": "int64", "end_wall_ns": "int64",
    "clock_wall_error_ns": "int64", "utc_offset_minutes": "int32",
}  # fmt: skip
HEADER_JSON = ("streams", "config", "environment")
"""Parts of the header that become datasets `<name>_json`."""

PRIVACY_TEXT = ("profile", "people_expected", "legal_basis", "notice_given", "controller_contact",
                "retain_pixels_until", "retain_file_until", "legal_hold")  # fmt: skip

END_REASONS = ("operator", "source_ended", "stop_event", "disk_full", "error", "recovered", "rolled")


def payload_columns(columns: Sequence[Column]) -> tuple[Column, ...]:
    return tuple(column for column in columns if column.in_payload)


def descriptor_columns(columns: Sequence[Column], sizes: Mapping[str, int]) -> list[dict[str, Any]]:
    """The columns of a payload as the stream table states them: name, dtype and shape of one row, in order."""
    return [
        {"name": c.name, "dtype": c.dtype, "shape": list(c.row_shape(sizes))}
        for c in payload_columns(columns)
    ]


def row_dtype(columns: Sequence[Mapping[str, Any]]) -> np.dtype[Any]:
    """Packed little-endian layout of one payload row, from the descriptor's columns.

    Raises ValueError for a column type the format does not know; a hostile stream table must not name any other.
    """
    fields = []
    for column in columns:
        dtype = str(column["dtype"])
        if dtype not in NUMERIC_DTYPES:
            raise ValueError(f"column {column['name']!r} has the unknown type {dtype!r}")
        shape = tuple(int(side) for side in column["shape"])
        fields.append((str(column["name"]), np.dtype(dtype).newbyteorder("<"), shape))
    return np.dtype(fields)


NUMERIC_DTYPES = frozenset(
    {"int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64"}
)


STREAM_COLUMNS: dict[str, tuple[Column, ...]] = {
    "frames": FRAME_COLUMNS,
    "model": STEP_COLUMNS + SLOT_COLUMNS,
    "numeric": NUMERIC_COLUMNS,
    "monitor": MONITOR_COLUMNS,
}
