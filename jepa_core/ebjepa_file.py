"""Names of the tensors of an EB-JEPA training checkpoint, sorted into its parts (specs/lewm-cjepa.md, section 4).

The file is a dictionary of state dicts: the model's, the optimiser's, those of probes trained beside it. Only the
model's encoder and predictor are used; what else lies in the file is listed as ignored. Reads no weight.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from jepa_core.design import Config, Stored, WeightFile
from jepa_core.lewm_file import COMPILED, WRAPPERS, unwrapped

MODEL = "model_state_dict"  # where the official training keeps the model
PARTS = ("encoder", "predictor")
ACTION = "numbers per action"  # what the file says of itself
HEADS = ("regularizer.",)  # inverse dynamics and what else only training asks
_DECODED = re.compile(
    r"regularizer\..*idm\.model\.(\d+)\.bias"
)  # inverse dynamics: its last layer gives an action


def is_ebjepa(names: Iterable[str]) -> bool:
    """Are these the tensor names of an action-conditioned EB-JEPA? One lost or renamed tensor does not change it."""
    plain = {unwrapped(name) for name in names}
    return any(name.startswith("encoder.stack_blocks.") for name in plain) and any(
        name.startswith("predictor.rnn.") for name in plain
    )


def to_parts(
    file_name: str, tensors: Mapping[str, Stored], config: Config, beside: Iterable[str] = ()
) -> WeightFile:
    """Sort the model's state dict. `beside`: other entries of the file, unused here."""
    parts: dict[str, dict[str, Stored]] = {part: {} for part in PARTS}
    ignored, leftover = list(beside), []
    for full, tensor in tensors.items():
        plain = unwrapped(full)
        part, _, name = plain.partition(".")
        if plain.startswith(HEADS):
            ignored.append(full)
        elif part not in parts or name in parts[part]:
            leftover.append(full)
        else:
            parts[part][name] = tensor
    wrappers = frozenset(wrapper for wrapper in (*WRAPPERS, COMPILED) for name in tensors if wrapper in name)
    return WeightFile(
        file_name,
        "flat",
        parts,
        tuple(ignored),
        tuple(leftover),
        config,
        wrappers,
        stated=_stated(tensors),
    )


def _stated(tensors: Mapping[str, Stored]) -> dict[str, int]:
    """How many numbers an action has, as the head says that decodes it from two latents."""
    layers = {
        int(match[1]): tensor
        for name, tensor in tensors.items()
        if (match := _DECODED.fullmatch(unwrapped(name))) and len(tensor.shape) == 1
    }
    return {ACTION: layers[max(layers)].shape[0]} if layers else {}
