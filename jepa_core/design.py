"""What a family makes of a file before anything is loaded: empty modules, the tensors meant for them, and its reasons.

The border between `checkpoint`, which reads, compares and refuses, and a family, which knows what its tensors mean.
Nothing here reads a weight.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from jepa_core.types import ActionSpec, CheckpointInfo, InputSpec, LoadReport

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from jepa_core.errors import CheckpointError
    from jepa_core.families.base import JepaModel


def _nothing() -> None:
    """Nothing to give back: what was read is a tensor of its own."""


@dataclass(frozen=True, slots=True)
class Stored:
    """One tensor of a file: its shape is known, its values are read only when asked for."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    read: Callable[[], Tensor]
    let_go: Callable[[], None] = (
        _nothing  # of the memory that reading took; `read` works again, from the file
    )
    pieces: tuple[Stored, ...] = ()  # along dimension 0, where the file holds it in several tensors


@dataclass(frozen=True, slots=True)
class Config:
    """The settings that travel beside a checkpoint, and where they were found."""

    values: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""  # file name, empty = there is none

    def get(self, *keys: str) -> Any:
        """A nested value, None where any step is missing: get("model", "pred_depth")."""
        value: Any = self.values
        for key in keys:
            if not isinstance(value, Mapping) or key not in value:
                return None
            value = value[key]
        return value

    def says(self, *keys: str) -> str:
        """How to name the origin of a value to a person: "params.yaml, model.pred_depth"."""
        return f"{self.source}, {'.'.join(keys)}"


@dataclass(frozen=True, slots=True)
class WeightFile:
    """A checkpoint file, opened safely, its keys without training prefixes. Reads nothing by itself."""

    name: str  # of the file or folder, for sentences
    layout: str  # "official" | "huggingface" | "flat"
    parts: Mapping[
        str, Mapping[str, Stored]
    ]  # "encoder" | "target_encoder" | "predictor" | … → name → tensor
    ignored: tuple[str, ...]  # what lies in the file and is unused by design: "opt", "classifier.weight"
    leftover: tuple[str, ...]  # tensors nobody can place: refuse the file
    config: Config
    wrappers: frozenset[str] = frozenset()  # what was stripped from the names: "module.", "backbone."
    spelling: Callable[[str, str], tuple[str, ...]] | None = (
        None  # (part, official name) → the file's own names
    )
    stated: Mapping[str, Any] = field(
        default_factory=dict
    )  # what a pickled object says of itself: "….heads" → 16
    foreign: tuple[str, ...] = ()  # code that a pickled object names; none of it was run
    checksums: str = ""  # what shows that the numbers are those that were written
    card: Mapping[str, Any] = field(default_factory=dict)  # `<stem>.card.json`: what a person wrote beside it

    def keys(self) -> frozenset[str]:
        return frozenset(f"{part}/{name}" for part, tensors in self.parts.items() for name in tensors)


@dataclass(frozen=True, slots=True)
class Choices:
    """What a person chose explicitly. Comes before every other source."""

    encoder_heads: int | None = None
    predictor_heads: int | None = None
    mask_token: int | None = None
    predictor_scaling: bool | None = None  # V-JEPA 2.1: predictor positions scaled to the reference grid
    square_split: bool = (
        False  # official predictor positions on non-square clips: split by the configured square
    )


@dataclass(frozen=True, slots=True)
class LookSize:
    """What the memory of one look depends on."""

    tokens: int  # that the encoder works on at once
    width: int
    hidden: int  # of the encoder's MLP
    input_values: int  # of the clip
    steps: int = 1  # latent time steps: what share of the tokens is their future
    latents: int = 0  # that targets are made of, 0 = one per token
    latent_width: int = 0  # of a target, 0 = the encoder's
    levels: int = 1  # of features kept on the way through the encoder
    predictor_width: int = 0  # 0 = nothing is predicted: the latents are made and shown


@dataclass(frozen=True, slots=True)
class Design:
    """A family's reading of a file."""

    family: str  # exact system name: "V-JEPA 2"
    variant: str
    modules: Mapping[str, nn.Module]  # on the meta device; part → module
    sources: Mapping[str, Mapping[str, Stored]]  # part → parameter name → tensor of the file
    input: InputSpec
    abilities: frozenset[str]
    embed_dim: int
    look: Callable[[int, int], LookSize]  # of a clip of n frames, s pixels each way
    settings: Any  # the family's own, passed on to `assemble`
    action: ActionSpec | None = None
    twins: Mapping[str, str] = field(default_factory=dict)  # part stored a second time → the part it repeats:
    # held against the same names and shapes, never loaded
    ignored: tuple[str, ...] = ()
    absent_parts: tuple[str, ...] = ()
    assumed: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    refusal: CheckpointError | None = (
        None  # why this file is refused whatever else fits; raised with the full report
    )
    multiblock: str = "clips"  # as CheckpointInfo.multiblock
    layout: str = "grid"  # as CheckpointInfo.layout
    levels: int = 1  # as CheckpointInfo.levels; more than one: the model is a LeveledModel
    sizes: tuple[int, ...] = ()  # as CheckpointInfo.sizes
    slots: int = 0  # as CheckpointInfo.slots
    metric: str = "l1"  # as CheckpointInfo.metric
    cannot_see: str = ""  # as CheckpointInfo.cannot_see


class Family(Protocol):
    """What `checkpoint` asks of the class a registry line names, besides JepaModel."""

    @classmethod
    def recognises(cls, keys: frozenset[str], config: Mapping[str, object]) -> bool: ...

    @classmethod
    def marks(cls, keys: frozenset[str], config: Mapping[str, object]) -> tuple[str, ...]:
        """What in a file that `recognises` took shows that it is of this system, in words for the load report."""
        ...

    @classmethod
    def design(cls, file: WeightFile, choices: Choices) -> Design:
        """Read the file's shapes and config. Raises ConfigDiffers where they contradict each other."""
        ...

    @classmethod
    def assemble(
        cls, design: Design, modules: Mapping[str, nn.Module], info: CheckpointInfo, report: LoadReport
    ) -> JepaModel:
        """The finished model from modules that hold their weights."""
        ...
