"""Names of the tensors of a LeWorldModel file, sorted into its five parts (specs/lewm-cjepa.md, section 1.3).

The same tensors come with the ViT names of transformers 4 (the published files) or 5 (anything saved since), bare or
inside a training wrapper. Reads no weight.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from jepa_core import hugging_face_vit
from jepa_core.design import Config, Stored, WeightFile

PARTS = ("encoder", "predictor", "action_encoder", "projector", "pred_proj")
WRAPPERS = ("model.", "module.")
COMPILED = "_orig_mod."  # of torch.compile; may stand anywhere in a name


def is_lewm(names: Iterable[str]) -> bool:
    """Are these the tensor names of a LeWorldModel? One lost or renamed tensor does not change the answer."""
    plain = {unwrapped(name) for name in names}
    return any(
        ".adaLN_modulation." in name and name.startswith("predictor.transformer.layers.") for name in plain
    ) and any(name.startswith(("projector.net.", "pred_proj.net.", "encoder.embeddings.")) for name in plain)


def unwrapped(name: str) -> str:
    """A parameter's own name, without what a training loop or a compiler put around it."""
    name = name.replace(COMPILED, "")
    while name.startswith(WRAPPERS):
        name = name.partition(".")[2]
    return name


def to_parts(file_name: str, tensors: Mapping[str, Stored], config: Config) -> WeightFile:
    """Sort a flat dictionary; the encoder's tensors get our names, the rest keep theirs."""
    parts: dict[str, dict[str, Stored]] = {part: {} for part in PARTS}
    leftover: list[str] = []
    for full, tensor in tensors.items():
        part, _, name = unwrapped(full).partition(".")
        if part == "encoder":
            name = hugging_face_vit.to_ours(name) or name
        if part not in parts or name in parts[part]:
            leftover.append(full)
        else:
            parts[part][name] = tensor
    is_new = any(re.match(r"encoder\.layers\.\d+\.", unwrapped(name)) for name in tensors)

    def spelling(part: str, name: str) -> tuple[str, ...]:
        theirs = hugging_face_vit.spelling(name, is_new=is_new) if part == "encoder" else ""
        return (f"encoder.{theirs}",) if theirs else ()

    wrappers = frozenset(wrapper for wrapper in (*WRAPPERS, COMPILED) for name in tensors if wrapper in name)
    return WeightFile(file_name, "flat", parts, (), tuple(leftover), config, wrappers, spelling)
