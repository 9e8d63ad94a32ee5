"""Hugging Face's names of the V-JEPA 2 tensors, translated to the official ones (spec section 9.1). Reads no weight."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import torch

from jepa_core.design import Config, Stored, WeightFile
from jepa_core.votes import count_blocks

THIRDS = ("query", "key", "value")  # in this order along dimension 0 of the fused qkv
HEADS = ("pooler.", "classifier.")  # of fine-tuned classifiers, unused here
_LAYER = {"encoder": "blocks", "predictor": "predictor_blocks"}
_FIXED = {  # official name without .weight/.bias → Hugging Face name
    "encoder": {"patch_embed.proj": "encoder.embeddings.patch_embeddings.proj", "norm": "encoder.layernorm"},
    "predictor": {
        "predictor_embed": "predictor.embeddings.predictor_embeddings",
        "predictor_norm": "predictor.layernorm",
        "predictor_proj": "predictor.proj",
    },
}
_BLOCK = {
    "attn.proj": "attention.proj",
    "norm1": "norm1",
    "norm2": "norm2",
    "mlp.fc1": "mlp.fc1",
    "mlp.fc2": "mlp.fc2",
}
_STACK = "predictor.embeddings.mask_tokens"  # [n, 1, 1, P], the official list stacked


def is_vjepa2(names: Iterable[str]) -> bool:
    """Are these the tensor names of a VJEPA2Model, bare or inside a classifier?"""
    plain = {name.removeprefix("vjepa2.") for name in names}
    return any(
        name.startswith(("encoder.embeddings.patch_embeddings.proj.", "predictor.embeddings."))
        for name in plain
    )


def to_official(file_name: str, tensors: Mapping[str, Stored], config: Config) -> WeightFile:
    """Sort a flat Hugging Face dictionary into encoder and predictor under official names."""
    plain = {name.removeprefix("vjepa2."): tensor for name, tensor in tensors.items()}
    ignored = [name for name in plain if name.startswith(HEADS)]
    parts: dict[str, dict[str, Stored]] = {"encoder": {}, "predictor": {}}
    used: set[str] = set(ignored)
    for part, official, sources in _wanted(plain):
        found = [plain[source] for source in sources if source in plain]
        if len(found) < len(sources) or not alike(found):
            continue  # the fused tensor will be missed, and what there is of it is left over: both are named
        parts[part][official] = found[0] if len(found) == 1 else joined(found)
        used.update(sources)
    if _STACK in plain and len(plain[_STACK].shape) == 4:
        parts["predictor"].update(_unstacked(plain[_STACK]))
        used.add(_STACK)
    leftover = tuple(name for name in plain if name not in used)
    if not parts["predictor"] and not any(name.startswith("predictor.") for name in leftover):
        del parts["predictor"]
    return WeightFile(
        file_name,
        "huggingface",
        parts,
        tuple(ignored),
        leftover,
        config,
        spelling=lambda part, name: spelling(part, name, leftover),
    )


def spelling(part: str, official: str, present: Iterable[str] = ()) -> tuple[str, ...]:
    """How a Hugging Face file spells an official tensor; of a fused one only the thirds that are not `present`."""
    if official.startswith("mask_tokens."):
        return (_STACK,)
    return tuple(name for name in _sources(part, official) if name not in set(present))


def _sources(part: str, official: str) -> tuple[str, ...]:
    stem, _, kind = official.rpartition(".")
    if stem in _FIXED[part]:
        return (f"{_FIXED[part][stem]}.{kind}",)
    match = re.fullmatch(rf"{_LAYER[part]}\.(\d+)\.(.+)", stem)
    if match is None:
        return ()
    layer, inner = f"{part}.layer.{match[1]}", match[2]
    if inner == "attn.qkv":
        return tuple(f"{layer}.attention.{third}.{kind}" for third in THIRDS)
    return (f"{layer}.{_BLOCK[inner]}.{kind}",) if inner in _BLOCK else ()


def _wanted(plain: Mapping[str, Stored]) -> Iterable[tuple[str, str, tuple[str, ...]]]:
    """(part, official name, Hugging Face names) of everything a file with these layers can hold."""
    for part, blocks in _LAYER.items():
        depth = count_blocks(plain, f"{part}.layer")
        stems = list(_FIXED[part])
        stems += [f"{blocks}.{i}.{inner}" for i in range(depth) for inner in ("attn.qkv", *_BLOCK)]
        for stem in stems:
            for kind in ("weight", "bias"):
                yield part, f"{stem}.{kind}", _sources(part, f"{stem}.{kind}")


def _unstacked(stack: Stored) -> dict[str, Stored]:
    """mask_tokens [n, 1, 1, P] → mask_tokens.0 … mask_tokens.{n-1}, each [1, 1, P]"""

    def one(number: int) -> Stored:
        return Stored(stack.shape[1:], stack.dtype, lambda: stack.read()[number], stack.let_go)

    return {f"mask_tokens.{number}": one(number) for number in range(stack.shape[0])}


def alike(thirds: list[Stored]) -> bool:
    """Can these be one tensor: are they of one shape and one kind of numbers?"""
    return len({(third.shape, third.dtype) for third in thirds}) == 1


def joined(thirds: list[Stored]) -> Stored:
    """query, key and value of one shape → one qkv along dimension 0."""
    shape = (3 * thirds[0].shape[0], *thirds[0].shape[1:])
    return Stored(
        shape, thirds[0].dtype, lambda: torch.cat([third.read() for third in thirds]), pieces=tuple(thirds)
    )
