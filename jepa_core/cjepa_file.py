"""Names of the tensors of C-JEPA's files, sorted into parts (specs/lewm-cjepa.md, sections 2.2 to 2.5).

Three files are released: the predictor alone, the slot encoder alone (VideoSAUR), and both with action and proprio
encoders (Push-T). Reads no weight.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from jepa_core import hugging_face_vit
from jepa_core.design import Config, Stored, WeightFile
from jepa_core.lewm_file import COMPILED, WRAPPERS, unwrapped

_PREFIXES = {  # how a part's names begin in a file → our part; the first that fits
    "encoder.module.backbone.": "backbone",
    "encoder.module.output_transform.": "features",
    "processor.module.": "slots",
    "slot_attention.module.": "slots",
    "initializer.": "start",
    "decoder.module.": "decoder",
    "action_encoder.": "action_encoder",
    "proprio_encoder.": "proprio_encoder",
    "predictor.": "predictor",
}
_BARE = (
    "mask_token",
    "time_pos_embed",
    "id_projector.",
    "transformer.",
    "to_out.",
)  # a predictor without a name
UNUSED = frozenset({"embeddings.mask_token"})  # of DINOv2's own training


def is_cjepa(names: Iterable[str]) -> bool:
    """Are these the tensor names of a C-JEPA file? One lost or renamed tensor does not change the answer."""
    plain = {unwrapped(name) for name in names}
    is_predictor = any(name.removeprefix("predictor.").startswith("id_projector.") for name in plain)
    return is_predictor or any(".module.corrector." in name for name in plain)


def to_parts(file_name: str, tensors: Mapping[str, Stored], config: Config) -> WeightFile:
    """Sort a flat dictionary; the backbone's tensors get our names, the rest keep theirs."""
    parts: dict[str, dict[str, Stored]] = {}
    ignored: list[str] = []
    leftover: list[str] = []
    prefixes: dict[str, str] = {}
    for full, tensor in tensors.items():
        prefix, part = _place(unwrapped(full))
        name = own = unwrapped(full).removeprefix(prefix)
        if part == "backbone":
            if name in UNUSED:
                ignored.append(full)
                continue
            name = hugging_face_vit.to_ours(name) or name
        if not part or name in parts.get(part, {}):
            leftover.append(full)
        else:
            parts.setdefault(part, {})[name] = tensor
            prefixes[part] = full.removesuffix(own)
    is_new = any(unwrapped(name).startswith("encoder.module.backbone.layers.") for name in tensors)

    def spelling(part: str, name: str) -> tuple[str, ...]:
        if part == "backbone":
            name = hugging_face_vit.spelling(name, is_new=is_new, is_dinov2=True) or name
        return (prefixes.get(part, "") + name,)

    wrappers = frozenset(wrapper for wrapper in (*WRAPPERS, COMPILED) for name in tensors if wrapper in name)
    return WeightFile(file_name, "flat", parts, tuple(ignored), tuple(leftover), config, wrappers, spelling)


def _place(name: str) -> tuple[str, str]:
    for prefix, part in _PREFIXES.items():
        if name.startswith(prefix):
            return prefix, part
    return ("", "predictor") if name.startswith(_BARE) else ("", "")
