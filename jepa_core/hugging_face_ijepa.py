"""Hugging Face's names of the I-JEPA tensors, translated to the official ones (spec section 9.2). Reads no weight.

Two spellings exist: the one files are written with, and the one transformers 5 uses inside; both are accepted, bare
or inside a classifier. An IJepaModel holds an encoder and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from jepa_core.design import Config, Stored, WeightFile
from jepa_core.hugging_face import alike, joined
from jepa_core.votes import count_blocks

INSIDE = "ijepa."  # prefix where a classifier surrounds the model
HEADS = ("pooler.", "classifier.", "embeddings.mask_token")  # unused here: the token is not JEPA's (9.2)
_FIXED = {  # official name → Hugging Face name; the same in both spellings
    "pos_embed": "embeddings.position_embeddings",
    "patch_embed.proj.weight": "embeddings.patch_embeddings.projection.weight",
    "patch_embed.proj.bias": "embeddings.patch_embeddings.projection.bias",
    "norm.weight": "layernorm.weight",
    "norm.bias": "layernorm.bias",
}
_WRITTEN = {  # inside a block, official stem → stems; three are the thirds of the fused qkv, in this order
    "attn.qkv": tuple(f"attention.attention.{third}" for third in ("query", "key", "value")),
    "attn.proj": ("attention.output.dense",),
    "norm1": ("layernorm_before",),
    "norm2": ("layernorm_after",),
    "mlp.fc1": ("intermediate.dense",),
    "mlp.fc2": ("output.dense",),
}
_TRANSFORMERS_5 = {
    "attn.qkv": ("attention.q_proj", "attention.k_proj", "attention.v_proj"),
    "attn.proj": ("attention.o_proj",),
    "norm1": ("layernorm_before",),
    "norm2": ("layernorm_after",),
    "mlp.fc1": ("mlp.fc1",),
    "mlp.fc2": ("mlp.fc2",),
}
_SPELLINGS = (
    (r"encoder\.layer\.(\d+)\.", "encoder.layer", _WRITTEN),
    (r"layers\.(\d+)\.", "layers", _TRANSFORMERS_5),
)


def is_ijepa(names: Iterable[str], config: Config) -> bool:
    """Are these the tensor names of an IJepaModel? Other ViTs share them, but have a class token or another type."""
    if config.get("model_type") not in (None, "ijepa"):
        return False
    plain = {name.removeprefix(INSIDE) for name in names}
    if "embeddings.cls_token" in plain or "embeddings.distillation_token" in plain:
        return False
    return any(
        name == "embeddings.position_embeddings" or name.startswith("embeddings.patch_embeddings.projection.")
        for name in plain
    )


def to_official(file_name: str, tensors: Mapping[str, Stored], config: Config) -> WeightFile:
    """Sort a flat Hugging Face dictionary into an encoder under official names."""
    plain: dict[str, Stored] = {}
    twice = []
    for name, tensor in tensors.items():
        if name.removeprefix(INSIDE) in plain:
            twice.append(name)
        plain.setdefault(name.removeprefix(INSIDE), tensor)
    ignored = tuple(name for name in plain if name.startswith(HEADS))
    encoder: dict[str, Stored] = {}
    used = set(ignored)
    for official, sources in _wanted(plain):
        found = [plain[source] for source in sources if source in plain]
        if len(found) < len(sources) or not alike(found):
            continue  # the fused tensor will be missed, and what there is of it is left over: both are named
        encoder[official] = found[0] if len(found) == 1 else joined(found)
        used.update(sources)
    leftover = (*(name for name in plain if name not in used), *twice)

    def spelling(part: str, official: str) -> tuple[str, ...]:
        return tuple(name for name in _sources(official, plain) if name not in leftover)

    return WeightFile(
        file_name, "huggingface", {"encoder": encoder}, ignored, leftover, config, spelling=spelling
    )


def _spelling(plain: Iterable[str]) -> tuple[str, str, Mapping[str, tuple[str, ...]]]:
    """Which of the two spellings these names are in."""
    found = [spelling for spelling in _SPELLINGS if any(re.match(spelling[0], name) for name in plain)]
    return found[0] if found else _SPELLINGS[0]


def _sources(official: str, plain: Iterable[str]) -> tuple[str, ...]:
    """The names a file in this spelling has for one official tensor."""
    if official in _FIXED:
        return (_FIXED[official],)
    match = re.fullmatch(r"blocks\.(\d+)\.(.+)\.(weight|bias)", official)
    _, layers, inside = _spelling(plain)
    if match is None or match[2] not in inside:
        return ()
    return tuple(f"{layers}.{match[1]}.{stem}.{match[3]}" for stem in inside[match[2]])


def _wanted(plain: Mapping[str, Stored]) -> Iterable[tuple[str, tuple[str, ...]]]:
    """(official name, Hugging Face names) of everything a file with these layers can hold."""
    _, layers, inside = _spelling(plain)
    depth = count_blocks(plain, layers)
    for official in _FIXED:
        yield official, _sources(official, plain)
    for number in range(depth):
        for stem in inside:
            for kind in ("weight", "bias"):
                official = f"blocks.{number}.{stem}.{kind}"
                yield official, _sources(official, plain)
