"""The plain readings of Hugging Face's models against Hugging Face itself, where transformers is installed.

`python3 run.py bench` brings it; the program never imports it. What the readings are held against here, the program is
held against in `test_variations` on every machine.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.golden.plain import blocks, cjepa, hugging_face, lewm
from tests.golden.plain.hugging_face import Layout
from tests.golden.plain.masked import Size
from tests.golden.runner import run_case
from tests.golden.test_variations import CLIPS, HF_I_JEPA, HF_V_JEPA_2

transformers = pytest.importorskip("transformers", reason="transformers comes with the bench packages only")
NEAR = 1e-5


def arrays_of(folder: Path) -> dict[str, torch.Tensor]:
    with np.load(folder / "io.npz") as file:
        return {name: torch.from_numpy(file[name]) for name in file.files}


def wrapped(layout: Layout) -> bool:
    return layout.wrapped or layout.kind.startswith(
        "bin"
    )  # transformers 5 reads no .bin without a newer torch check


@pytest.mark.parametrize("name", [name for name, (_, layout) in HF_V_JEPA_2.items() if not wrapped(layout)])
def test_plain_v_jepa_2_is_hugging_faces(name, tmp_path):
    size, layout = HF_V_JEPA_2[name]
    folder = hugging_face.write_vjepa2(tmp_path / "model", size, layout, clips=CLIPS)
    arrays, model = arrays_of(folder), transformers.VJEPA2Model.from_pretrained(folder).eval()
    keep, ask = arrays["context_mask"], arrays["target_mask"]

    with torch.inference_mode():
        for masks, call in (({}, "full"), ({"context_mask": [keep], "target_mask": [ask]}, "masked")):
            out = model(arrays["pixel_values_videos"], **masks)
            for ours, theirs in (
                ("last_hidden_state", out.last_hidden_state),
                ("masked_hidden_state", out.masked_hidden_state),
                ("predictor_last_hidden_state", out.predictor_output.last_hidden_state),
                ("predictor_target_hidden_state", out.predictor_output.target_hidden_state),
            ):
                assert torch.allclose(arrays[f"{call}_{ours}"], theirs, atol=2 * NEAR), (call, ours)
        for suffix, _ in CLIPS:
            theirs = model.get_vision_features(arrays[f"pixel_values_videos_{suffix}"])
            assert torch.allclose(arrays[f"last_hidden_state_{suffix}"], theirs, atol=NEAR), suffix


@pytest.mark.parametrize("name", [name for name, (_, layout) in HF_I_JEPA.items() if not wrapped(layout)])
def test_plain_i_jepa_is_hugging_faces(name, tmp_path):
    size, layout = HF_I_JEPA[name]
    size = replace(size, system="ijepa", tubelet=0, frames=1, noise=0.3)
    pictures = (("big", (64, 64)), ("wide", (40, 72)), ("small", (28, 30)))
    folder = hugging_face.write_ijepa(
        tmp_path / "model", size, replace(layout, new_names=False), pictures=pictures
    )
    arrays = arrays_of(folder)
    model = transformers.IJepaModel.from_pretrained(folder, add_pooling_layer=False).eval()

    with torch.inference_mode():
        for suffix in ("", "_big", "_wide", "_small"):
            theirs = model(arrays[f"pixel_values{suffix}"], interpolate_pos_encoding=True).last_hidden_state
            assert torch.allclose(arrays[f"last_hidden_state{suffix}"], theirs, atol=NEAR), suffix


@pytest.mark.parametrize("shard", ["200KB", "50KB"])
def test_folder_that_transformers_saves_loads(shard, tmp_path):
    """Its own spelling and its own shards."""
    source = hugging_face.write_vjepa2(tmp_path / "source", Size(seed=3), Layout())
    folder = tmp_path / "hf-vjepa2-saved"
    transformers.VJEPA2Model.from_pretrained(source).save_pretrained(folder, max_shard_size=shard)
    (folder / "io.npz").write_bytes((source / "io.npz").read_bytes())

    outcome = run_case(folder)

    assert outcome.status == "passed", outcome.problems


@pytest.mark.parametrize("shard", ["200KB", "20KB"])
def test_picture_folder_that_transformers_saves_loads(shard, tmp_path):
    size = Size(seed=4, system="ijepa", tubelet=0, frames=1, noise=0.3)
    source = hugging_face.write_ijepa(tmp_path / "source", size, Layout())
    folder = tmp_path / "hf-ijepa-saved"
    model = transformers.IJepaModel.from_pretrained(source, add_pooling_layer=True, use_mask_token=True)
    model.save_pretrained(folder, max_shard_size=shard)
    (folder / "io.npz").write_bytes((source / "io.npz").read_bytes())

    outcome = run_case(folder)

    assert outcome.status == "passed", outcome.problems


def renamed(weights: blocks.Weights, prefix: str) -> blocks.Weights:
    """transformers 4's names of a part → transformers 5's own, which is what its modules are called."""
    return {name.removeprefix(prefix): tensor for name, tensor in weights.items() if name.startswith(prefix)}


@pytest.mark.parametrize("shape", [(42, 42), (56, 70)], ids=["its size", "another size"])
def test_plain_vit_of_le_world_model_is_transformers_vit(shape):
    size = lewm.Size()
    weights = lewm._draw(size)
    config = transformers.ViTConfig(
        hidden_size=size.vit,
        num_hidden_layers=size.layers,
        num_attention_heads=size.vit_heads,
        intermediate_size=size.vit_hidden,
        image_size=size.side,
        patch_size=size.patch,
        layer_norm_eps=1e-12,
        hidden_dropout_prob=0.0,
    )
    model = transformers.ViTModel(config, add_pooling_layer=False).eval()
    model.load_state_dict(renamed(weights, "encoder."))
    pictures = torch.randn(2, 3, *shape, generator=torch.Generator().manual_seed(0))

    with torch.inference_mode():
        theirs = model(pictures, interpolate_pos_encoding=True).last_hidden_state

    assert torch.allclose(lewm.vit(size, blocks.wide(weights), pictures).float(), theirs, atol=NEAR)


@pytest.mark.parametrize("table_side", [56, 70], ids=["its size", "another size"])
def test_plain_backbone_of_c_jepa_is_transformers_dinov2(table_side):
    size = cjepa.Size(vit_layers=3, table_side=table_side, new_names=True)
    weights = cjepa._draw(cjepa._slot_shapes(size, "processor"), 0)
    config = transformers.Dinov2Config(
        hidden_size=size.F,
        num_hidden_layers=3,
        num_attention_heads=size.vit_heads,
        mlp_ratio=size.vit_ratio,
        image_size=table_side,
        patch_size=size.patch,
    )
    model = transformers.Dinov2Model(config).eval()
    names = set(model.state_dict())
    ours = renamed(weights, "encoder.module.backbone.")
    model.load_state_dict({fitting(name, names): tensor for name, tensor in ours.items()})
    video = torch.randn(1, 2, 3, size.side, size.side, generator=torch.Generator().manual_seed(0))

    with torch.inference_mode():
        theirs = model(video[0]).last_hidden_state[:, 1:]

    tokens, _ = cjepa.backbone(size, blocks.wide(weights), video)
    assert torch.allclose(tokens[0].float(), theirs, atol=NEAR)


def fitting(name: str, names: set[str]) -> str:
    """What this transformers calls a tensor: its layers lie under `encoder.` or not, its attention is split or not."""
    old = {"q_proj": "query", "k_proj": "key", "v_proj": "value", "o_proj": "dense"}
    for layers in ("layers", "encoder.layers", "encoder.layer"):
        for to in (lambda n: n, lambda n: _older(n, old)):
            candidate = to(name).replace("layers", layers, 1) if name.startswith("layers") else name
            if candidate in names:
                return candidate
    return name


def _older(name: str, old: dict[str, str]) -> str:
    for new, older in old.items():
        inner = "attention.output" if new == "o_proj" else "attention.attention"
        name = name.replace(f"attention.{new}", f"{inner}.{older}")
    return name
