"""Changes files at random, from a seed: bytes, stretches, tokens. For the fuzzing of all readers.

A kind is one reader and one way to damage what it reads: how a whole file is made, how it is changed, and what may
come of a changed file that loads. `tests/jepa_core/test_fuzz_readers.py` opens them in a child.
"""

from __future__ import annotations

import json
import random
import shutil
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
import yaml

from tests.golden.runner import CASES
from tests.helpers import (
    ac_checkpoints,
    cjepa_checkpoints,
    ebjepa_checkpoints,
    hostile,
    jepawm_checkpoints,
    leveled_checkpoints,
    lewm_checkpoints,
    table_checkpoints,
)
from tests.helpers import checkpoints as made

OBJECT = CASES / "lewm-object" / "lewm_object.ckpt"
STRUCTURE = OBJECT.with_name("structure.json")

OPCODES = (b"(", b"R", b"b", b"u", b"t", b"Q", b"0", b"2", b"}", b"]", b"h\x00", b"cos\nsystem\n", b"c__builtin__\neval\n",
           b"\x8a\xff", b"\x8d" + b"\xff" * 8, b"\x96" + b"\xff" * 8, b"X\xff\xff\xff\x7f", b"r\xff\xff\xff\x7f", b"\x93")  # fmt: skip
TOKENS = (b"{", b"}", b"[", b"]", b'"', b",", b":", b"null", b"true", b"-1", b"0", b"1e999", b"NaN", b"9" * 40, b"9" * 5000,
          b'"x"', b"\\u0000", b"\xff", b"\x00", b"[" * 200, b'{"a":' * 50, b"1.5", b"4294967296")  # fmt: skip
YAML_TOKENS = (b": ", b"- ", b"\n", b"  ", b"\t", b"&a ", b"*a ", b"<<: *a\n", b"!!python/object/apply:os.system [x]", b"? ", b"|",
               b">", b"%", b"---\n", b"'", b'"', b"[", b"{", b".nan", b".inf", b"1:59:59", b"0x" + b"f" * 60, b"~", b"9" * 5000)  # fmt: skip

Change = Callable[[bytes, random.Random], bytes]


@dataclass(frozen=True)
class Kind:
    """One reader, and one way to damage its file."""

    make: Callable[[Path], Path]  # a whole one in a fresh folder → what is opened
    damaged: str  # the file in the folder whose bytes are changed, "" = the one that is opened
    change: Change
    config: Path | None = None
    may_differ: Callable[[bytes, bytes], bool] = lambda before, after: False
    """May a file that loads have other weights than the whole one? (its bytes before, its bytes after)"""


def changed(
    content: bytes, draw: random.Random, tokens: tuple[bytes, ...] = (b"\x00", b"\xff", b"PK\x01\x02")
) -> bytes:
    """One to eight random changes; never none."""
    out = bytearray(content)
    while True:
        for _ in range(draw.choice((1, 1, 1, 1, 2, 4))):
            _change(out, draw, tokens)
        if bytes(out) != content:
            return bytes(out)


def _change(out: bytearray, draw: random.Random, tokens: tuple[bytes, ...]) -> None:
    place = draw.randrange(len(out)) if out else 0
    length = draw.choice((1, 2, 8, 64, 1024))
    how = draw.randrange(8)
    if how == 0:
        out[place : place + 1] = bytes([draw.randrange(256)])
    elif how in (1, 2) and out:
        out[place] ^= 1 << draw.randrange(8)
    elif how == 3:
        del out[place : place + length]
    elif how == 4:
        out[place:place] = draw.choice(tokens)
    elif how == 5:
        out[place:place] = out[place : place + length]
    elif how == 6:
        other = draw.randrange(len(out)) if out else 0
        out[place : place + length], out[other : other + length] = (
            out[other : other + length],
            out[place : place + length],
        )
    elif draw.random() < 0.2:
        del out[place:]


STRANGE = (None, True, False, 0, -1, 1, 2, 3, 7, 10**6, 10**9, 10**30, 0.0, -0.5, 1.5, 1e308, float("nan"), float("inf"), "", "x",
           "vit_large", "vit_huge_rope", "\x1b[2J", "x" * 3000, [], [1], [2, 2], [[]], ["a", 1], {}, {"a": 1}, [None])  # fmt: skip


def settings_changed(content: bytes, draw: random.Random, *, is_json: bool = True) -> bytes:
    """One to three values of a JSON or YAML file made strange, left out, or moved under another key."""
    values = json.loads(content) if is_json else yaml.safe_load(content)
    while True:
        for _ in range(draw.choice((1, 1, 2, 3))):
            _one_setting(values, draw)
        text = json.dumps(values).encode() if is_json else yaml.safe_dump(values).encode()
        if text != content:
            return text


def _one_setting(values: Any, draw: random.Random) -> None:
    while True:
        keys = list(values) if isinstance(values, dict) else list(range(len(values)))
        if not keys:
            return
        key = draw.choice(keys)
        if isinstance(values[key], dict | list) and values[key] and draw.random() < 0.8:
            values = values[key]
            continue
        how = draw.randrange(6)
        if how == 0:
            del values[key]
        elif how == 1 and isinstance(values, dict):
            values[f"{key}_"] = values.pop(key)
        elif how == 2 and isinstance(values[key], int) and not isinstance(values[key], bool):
            values[key] += draw.choice((-1, 1, 2, 1000))
        else:
            values[key] = draw.choice(STRANGE)
        return


def either(first: Change, second: Change) -> Change:
    return lambda content, draw: (first if draw.random() < 0.5 else second)(content, draw)


def with_tokens(*tokens: bytes) -> Change:
    return lambda content, draw: changed(content, draw, tokens)


def resealed(content: bytes, draw: random.Random) -> bytes:
    """The pickle of a torch zip changed, and the zip written anew around it: every check sum is right again."""
    with zipfile.ZipFile(BytesIO(content)) as archive:
        entries = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    tree = next(name for name in entries if name.endswith("data.pkl"))
    out = BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, own in entries.items():
            archive.writestr(name, changed(own, draw, OPCODES) if name == tree else own)
    return out.getvalue()


def tensors_changed(content: bytes, draw: random.Random) -> bytes:
    """Some tensors of a torch file lost, renamed, reshaped, of another kind, or in another's place; saved anew."""
    values = torch.load(BytesIO(content), weights_only=True)
    parts = [part for part in values.values() if isinstance(part, dict) and part] or [values]
    for _ in range(draw.choice((1, 1, 2, 3))):
        part = draw.choice(parts)
        names = [name for name, value in part.items() if isinstance(value, torch.Tensor)]
        if names:
            _one_tensor(part, draw.choice(names), draw)
    out = BytesIO()
    torch.save(values, out)
    return out.getvalue()


def _one_tensor(part: dict[str, Any], name: str, draw: random.Random) -> None:
    tensor = part[name]
    how = draw.randrange(8)
    if how == 0:
        del part[name]
    elif how == 1:
        part[f"{name}{draw.choice(('_', '.1', ' '))}"] = part.pop(name)
    elif how == 2:
        part[name.replace("0", draw.choice(("1", "99", "99999999", "-1")), 1) + ""] = part.pop(name)
    elif how == 3:
        part[name] = tensor[None] if draw.random() < 0.5 else tensor.reshape(-1)
    elif how == 4:
        part[name] = torch.zeros([draw.choice((0, 1, 1, 2, 3, 40)) for _ in range(draw.randrange(5))])
    elif how == 5:
        part[name] = tensor.to(
            draw.choice((torch.int64, torch.bool, torch.float64, torch.bfloat16, torch.uint8))
        )
    elif how == 6:
        part[name] = tensor.double() * draw.choice((float("nan"), float("inf"), 1e200))
    else:
        part[name] = draw.choice((None, 3, "x", [1.0], {"a": tensor}))


def table_changed(content: bytes, draw: random.Random) -> bytes:
    """The table of a .safetensors file changed, its length kept right."""
    length = int.from_bytes(content[:8], "little")
    table = changed(content[8 : 8 + length], draw, TOKENS)
    return len(table).to_bytes(8, "little") + table + content[8 + length :]


def numbers_changed(before: bytes, after: bytes) -> bool:
    """Do two .safetensors files differ behind their tables? The format has no check sum to tell."""
    begins = [8 + int.from_bytes(content[:8], "little") for content in (before, after)]
    return before[begins[0] :] != after[begins[1] :]


def _official(folder: Path) -> Path:
    return made.write(folder)


def _with_card(folder: Path) -> Path:
    path = made.write(folder)
    (folder / "latest.card.json").write_text(
        json.dumps({"notes": ["untrained"], "trained": False, "action": {"mean": [0, 1]}})
    )
    return path


def _with_statistics(folder: Path) -> Path:
    path = lewm_checkpoints.write(folder)
    ten = {"action_mean": [0.1] * 10, "action_std": [0.5] * 10}
    (folder / "weights.card.json").write_text(json.dumps({"notes": [], **ten}))
    return path


def _object(folder: Path) -> Path:
    return Path(shutil.copy(OBJECT, folder / "object.ckpt"))


def _old(folder: Path) -> Path:
    path = folder / "old.pt"
    torch.save(made.content(), path, _use_new_zipfile_serialization=False)
    (folder / "params.yaml").write_text(yaml.safe_dump(made.params()))
    return path


SETTINGS = either(settings_changed, with_tokens(*TOKENS))
YAML_SETTINGS = either(partial(settings_changed, is_json=False), with_tokens(*YAML_TOKENS))

KINDS: Mapping[str, Kind] = {
    "params.yaml, I-JEPA": Kind(table_checkpoints.write_ijepa, "params-ijepa.yaml", YAML_SETTINGS),
    "params.yaml, V-JEPA": Kind(table_checkpoints.write_vjepa, "params-pretrain.yaml", YAML_SETTINGS),
    "params.yaml, V-JEPA 2-AC": Kind(ac_checkpoints.write, "params.yaml", YAML_SETTINGS),
    "params.yaml, V-JEPA 2.1": Kind(leveled_checkpoints.write, "params.yaml", YAML_SETTINGS),
    "config.yaml, EB-JEPA": Kind(ebjepa_checkpoints.write, "config.yaml", YAML_SETTINGS),
    "config.json, JEPA-WM": Kind(jepawm_checkpoints.write, "config.json", SETTINGS),
    "config.json, C-JEPA": Kind(cjepa_checkpoints.write, "config.json", SETTINGS),
    "torch zip": Kind(_official, "", changed),
    "torch zip, sealed again": Kind(_official, "", resealed, may_differ=lambda before, after: True),
    "pickled object": Kind(_object, "", changed, STRUCTURE),
    "pickled object, sealed again": Kind(_object, "", resealed, STRUCTURE, lambda before, after: True),
    **{
        f"tensors, {system}": Kind(make, "", tensors_changed, may_differ=lambda before, after: True)
        for system, make in {
            "I-JEPA": table_checkpoints.write_ijepa,
            "V-JEPA": table_checkpoints.write_vjepa,
            "V-JEPA 2": _official,
            "V-JEPA 2-AC": ac_checkpoints.write,
            "V-JEPA 2.1": leveled_checkpoints.write,
            "LeWorldModel": lewm_checkpoints.write,
            "C-JEPA": cjepa_checkpoints.write,
            "EB-JEPA": ebjepa_checkpoints.write,
            "JEPA-WM": jepawm_checkpoints.write,
        }.items()
    },
    "torch before 1.6": Kind(_old, "", with_tokens(*OPCODES)),
    "safetensors": Kind(
        hostile.hugging_face(lambda folder: None), "model.safetensors", changed, may_differ=numbers_changed
    ),
    "safetensors, table": Kind(hostile.hugging_face(lambda folder: None), "model.safetensors", table_changed),
    "index of files": Kind(hostile.sharded(), "model.safetensors.index.json", SETTINGS),
    "config.json, Hugging Face": Kind(hostile.hugging_face(lambda folder: None), "config.json", SETTINGS),
    "config.json, LeWorldModel": Kind(lewm_checkpoints.write, "config.json", SETTINGS),
    "params.yaml": Kind(_official, "params.yaml", YAML_SETTINGS),
    "card.json, LeWorldModel": Kind(_with_statistics, "weights.card.json", SETTINGS),
    "card.json": Kind(_with_card, "latest.card.json", SETTINGS),
}
