"""What may be claimed of each system: the nouns, the fixed lists, and where a published figure belongs.

The facts themselves are data, one file per system below assets/claims, read by `claims_file`. A figure always carries
its benchmark, its model version and its source; `figures_for` never gives the figures of one version for another, and
which version a loaded checkpoint is, is decided by `claims_match` alone. Standard library only; never imports torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

LADDER: dict[str, tuple[str, str]] = {  # level → (name, what it takes); session format 4.2, lowest first
    "architecture_proposal": ("Architecture proposal", "a design is argued for; nothing was trained"),
    "representation_benchmark": ("Representation benchmark", "frozen features were tested on benchmarks"),
    "video_prediction": ("Video prediction", "predictions of what comes next were tested"),
    "action_conditioned_demo": ("Action-conditioned demo", "predictions under actions were used to plan"),
    "deployment_assurance": ("Deployment assurance", "evidence from a place of use, kept up to date"),
}

BOUNDARY_TESTS: dict[str, str] = {  # the seven tests of session format 4.2 → the question they ask
    "masked_autoencoder": "Is it a masked autoencoder: does it learn by rebuilding hidden pixels?",
    "contrastive": "Is it contrastive: does it learn by telling samples apart?",
    "video_backbone": "Is it a video backbone: was it tested by its frozen features?",
    "action_free": "Is it action-free: does it predict without being told an action?",
    "simulator": "Is it a simulator: can observations or states be stepped with it?",
    "controller": "Is it a controller: does it choose or issue actions by itself?",
    "deployment": "Is it deployed: is there evidence from a place of use?",
}

VERDICTS = ("yes", "no", "partly", "unknown", "not_applicable")
STATES = ("stated", "unknown", "not_applicable")
REPORTERS = ("paper", "repository", "later paper", "third party")
SOURCE_KINDS = (  # session format 4.2, same names and order
    "primary_paper", "official_repository", "model_card", "benchmark_documentation", "safety_case",
    "regulator_or_standard", "independent_replication", "own_measurement", "operator_statement",
    "vendor_statement", "weak",
)  # fmt: skip

FIELDS: dict[str, tuple[str, ...]] = {  # section of the minimum system record → fields a claims file may state
    "model_identity": ("code_repository", "target_encoder_mode"),
    "objective": (
        "prediction_kind", "mask_strategy", "loss_terms", "collapse_prevention", "pixel_reconstruction_used",
        "pretrained_encoder_used",
    ),
    "data": (
        "training_sources", "post_training_sources", "video_hours", "episode_count", "robot_trajectory_data",
        "excluded_domains", "provenance_limits", "privacy_constraints", "known_bias", "licences",
    ),
    "evaluation_boundary": (
        "frozen_backbone_tests", "anticipation_tasks", "control_tasks", "robot_hardware", "sensors",
        "environment_setup", "action_space", "horizon", "ood_tests", "operating_envelope",
    ),
    "action_stack": ("component_boundaries",),
}  # fmt: skip

VOCABULARY: dict[str, tuple[str, ...]] = {  # field → the only values the record knows for it
    "prediction_kind": (
        "image", "video", "dense_feature", "object_level", "future_state", "action_conditioned",
    ),
    "target_encoder_mode": ("frozen", "teacher_updated", "jointly_trained"),
    "pixel_reconstruction_used": ("yes", "no"),
    "pretrained_encoder_used": ("yes", "no"),
}  # fmt: skip

UNKNOWN = "not stated in the sources read for this console"


@dataclass(frozen=True, slots=True)
class Reference:
    """Where facts and figures come from, and how it was read."""

    id: str
    kind: str  # one of SOURCE_KINDS
    title: str
    ref: str  # arXiv id, repository, address
    via: str  # "tables read in a stored text copy, not in the PDF"


@dataclass(frozen=True, slots=True)
class Fact:
    """One field of the record: what is known, or that it is not."""

    section: str
    name: str
    text: str
    status: str = "stated"  # one of STATES
    value: str = ""  # one of VOCABULARY, where the field has one
    source: Reference | None = None
    where: str = ""  # table or section of the source


@dataclass(frozen=True, slots=True)
class Version:
    """The exact checkpoint or variant a figure belongs to."""

    id: str
    is_released: bool = True
    architecture: tuple[str, ...] = ()  # words that CheckpointInfo.variant of such a file has
    catalogue: tuple[str, ...] = ()  # ids in the catalogue of the files that are this version
    conversions: tuple[str, ...] = ()  # ids of conversions, which hold another encoder than the measured one
    note: str = ""


@dataclass(frozen=True, slots=True)
class Figure:
    """One published number. Nothing of it may be shown without the rest of it."""

    benchmark: str
    metric: str
    value: str  # as printed in the source
    unit: str  # "%", "s", "none", "not stated"
    version: Version
    source: Reference
    where: str
    reported_by: str  # one of REPORTERS
    setting: str = ""
    compared: str = ""  # other systems in the same table
    spread: str = ""  # ±, as printed

    @property
    def number(self) -> float:
        return float(self.value.replace(",", ""))

    @property
    def words(self) -> str:
        """ "96.0 ± 2.83 %" """
        spread = f" ± {self.spread}" if self.spread else ""
        return f"{self.value}{spread} {self.unit if self.unit not in ('none', 'not stated') else ''}".strip()

    @property
    def cited(self) -> str:
        """ "arXiv 2506.09985, Table 4" """
        return f"{self.source.ref}, {self.where}"


@dataclass(frozen=True, slots=True)
class Remark:
    """Something that was not tested, or a known fault."""

    text: str
    source: Reference | None = None
    where: str = ""


@dataclass(frozen=True, slots=True)
class BoundaryAnswer:
    test: str  # key of BOUNDARY_TESTS
    verdict: str  # one of VERDICTS
    answer: str
    reason: str


@dataclass(frozen=True, slots=True)
class SystemClaims:
    """Everything the console says about one system."""

    system: str
    summary: str
    level: str  # key of LADDER
    level_reason: str
    may_be_said: tuple[str, ...] = ()
    may_not_be_said: tuple[str, ...] = ()
    facts: tuple[Fact, ...] = ()  # every field of FIELDS, in order; unknown ones too
    versions: tuple[Version, ...] = ()
    figures: tuple[Figure, ...] = ()
    not_tested: tuple[Remark, ...] = ()
    faults: tuple[Remark, ...] = ()
    boundary: tuple[BoundaryAnswer, ...] = ()  # all seven, in order
    sources: tuple[Reference, ...] = ()
    by_field: Mapping[tuple[str, str], Fact] = field(default_factory=dict)

    def fact(self, section: str, name: str) -> Fact:
        return self.by_field[section, name]

    def version(self, version_id: str) -> Version | None:
        return next((version for version in self.versions if version.id == version_id), None)

    @property
    def rung(self) -> int:
        """1..5: the step on the ladder."""
        return list(LADDER).index(self.level) + 1


def figures_for(claims: SystemClaims, version: Version | str) -> tuple[Figure, ...]:
    """The figures of exactly this version; none for a version the file does not name."""
    wanted = version if isinstance(version, str) else version.id
    return tuple(figure for figure in claims.figures if figure.version.id == wanted)
