"""Every released configuration goes through the loader's own path and has the counts that the specs publish."""

from __future__ import annotations

import math

import pytest
import torch

from jepa_core import registry, released
from jepa_core.errors import ConfigDiffers, KeysDiffer, ShapesDiffer
from jepa_core.transformer_facts import RELEASED

MILLIONS = {  # ijepa spec, section 3: encoder and predictor entries, trainable parameters in millions, tokens
    "ijepa-vith14-in1k": (389, 152, 630.4, 22.3, 256),
    "ijepa-vith16-448-in1k": (389, 152, 630.7, 22.3, 784),
    "ijepa-vith14-in22k": (389, 152, 630.4, 22.3, 256),
    "ijepa-vitg16-in22k": (485, 200, 1011.1, 29.5, 196),
    "vjepa-vitl16": (293, 153, 303.9, 22.1, 1568),
    "vjepa-vith16": (389, 153, 631.6, 22.3, 1568),
    "vjepa-vith16-384": (389, 153, 631.6, 22.3, 4608),
    "vjepa2-vitl": (292, 160, 303.9, 22.1, 8192),
    "vjepa2-vith": (388, 160, 631.6, 22.3, 8192),
    "vjepa2-vitg": (484, 160, 1012.2, 22.4, 8192),
    "vjepa2-vitg-384": (484, 160, 1012.2, 22.4, 18432),
}
EXACT = {  # vjepa2-ac-vjepa2.1 spec, A1 and B1; lewm-cjepa spec, 1.3 and 2.1: part → parameters
    "vjepa2-ac-vitg": {"encoder": 1_012_173_952, "predictor": 305_220_992},
    "vjepa21-vitb-384": {"ema_encoder": 86_833_152, "predictor": 22_874_752},
    "vjepa21-vitl-384": {"ema_encoder": 304_680_960, "predictor": 22_973_056},
    "vjepa21-vitg-384": {"target_encoder": 1_013_267_968, "predictor": 55_400_704},
    "vjepa21-vitG-384": {"target_encoder": 1_845_216_768, "predictor": 59_433_472},
    "lewm-pusht": {
        "encoder": 5_501_376,
        "predictor": 10_791_360,
        "action_encoder": 156_206,
        "projector": 792_768,
    },
    "lewm-cube": {
        "encoder": 5_501_376,
        "predictor": 10_791_360,
        "action_encoder": 156_356,
        "pred_proj": 792_768,
    },
    **{
        f"cjepa-clevrer-{kind}-{m}": {"predictor": 3_592_064}
        for kind in ("videosaur", "savi")
        for m in range(5)
    },
    **{f"cjepa-pusht-videosaur-{m}": {"predictor": 3_590_528} for m in range(3)},
}
HEADS = {  # ijepa spec, section 3; other spec, B1 and C: encoder heads, predictor heads
    "ijepa-vith14-in1k": (16, 16),
    "ijepa-vitg16-in22k": (16, 16),
    "vjepa-vitl16": (16, 16),
    "vjepa-vith16-384": (16, 16),
    "vjepa2-vitl": (16, 12),
    "vjepa2-vith": (16, 12),
    "vjepa2-vitg": (22, 12),
    "vjepa2-ac-vitg": (22, 16),
    "vjepa21-vitb-384": (12, 12),
    "vjepa21-vitl-384": (16, 12),
    "vjepa21-vitg-384": (22, 12),
    "vjepa21-vitG-384": (26, 12),
    "vjepa2-vit_giant": (16, 12),
    "vjepa2-vit_giant_xformers_rope": (22, 12),
    "vjepa2-vit_gigantic": (16, 12),
    "vjepa2-vit_gigantic_xformers": (26, 12),
    "vjepa-vit_giant": (16, 16),
    "facebook/vjepa2-vitg-fpc64-384": (22, 12),
}


def parameters(module: torch.nn.Module, *, trainable: bool = False) -> int:
    return sum(p.numel() for p in module.parameters() if p.requires_grad or not trainable)


@pytest.mark.parametrize("name", released.names())
def test_every_released_configuration_is_built_by_name_on_the_meta_device(name):
    design, report = released.examined(name)

    tensors = [t for module in design.modules.values() for t in module.state_dict().values()]
    assert {t.device.type for t in tensors} == {"meta"}
    assert design.family == released.find(name).system
    assert report.is_exact
    assert report.matched == sum(len(own) for own in design.sources.values())


@pytest.mark.parametrize(("name", "wanted"), MILLIONS.items())
def test_masked_configurations_have_the_published_entries_parameters_and_tokens(name, wanted):
    entries_e, entries_p, millions_e, millions_p, tokens = wanted
    design = released.build(name)
    encoder, predictor = design.modules["encoder"], design.modules["predictor"]

    assert [len(encoder.state_dict()), len(predictor.state_dict())] == [entries_e, entries_p]
    assert parameters(encoder, trainable=True) / 1e6 == pytest.approx(millions_e, abs=0.06)
    assert parameters(predictor, trainable=True) / 1e6 == pytest.approx(millions_p, abs=0.06)
    assert math.prod(design.settings.native) == tokens


@pytest.mark.parametrize(("name", "wanted"), EXACT.items())
def test_configurations_whose_counts_are_published_exactly_have_them(name, wanted):
    modules = released.build(name).modules

    assert {part: parameters(modules[part]) for part in wanted} == wanted


@pytest.mark.parametrize(("name", "total"), [("lewm-pusht", 18_034_478), ("lewm-cube", 18_034_628)])
def test_leworldmodel_has_303_tensors_and_the_published_total(name, total):
    modules = released.build(name).modules.values()

    assert sum(parameters(module) for module in modules) == total
    assert sum(len(module.state_dict()) for module in modules) == 303
    assert [len(module.state_dict()) for module in modules] == [198, 81, 6, 9, 9]


def test_action_conditioned_pair_has_the_published_total_and_its_frozen_twin_costs_nothing():
    design = released.build("vjepa2-ac-vitg")

    assert sum(parameters(module) for module in design.modules.values()) == 1_317_394_944
    assert design.twins == {"target_encoder": "encoder"}


@pytest.mark.parametrize(("name", "wanted"), HEADS.items())
def test_head_counts_that_no_shape_tells_are_the_published_ones(name, wanted):
    modules = released.build(name).modules
    encoder = next(modules[part] for part in ("encoder", "target_encoder", "ema_encoder") if part in modules)

    assert (encoder.blocks[0].attn.heads, modules["predictor"].predictor_blocks[0].attn.heads) == wanted


def test_slot_predictors_have_68_tensors_and_the_backbone_22_06_million_parameters():
    whole = released.build("cjepa-pusht-videosaur-1").modules

    assert len(whole["predictor"].state_dict()) == 68
    assert round(parameters(whole["backbone"]) / 1e6, 2) == 22.06


@pytest.mark.parametrize("masked", range(5))
def test_released_slot_predictors_differ_in_how_many_slots_training_hid(masked):
    assert released.build(f"cjepa-clevrer-savi-{masked}").settings.masked == masked


def test_hugging_face_files_are_the_official_encoders_again():
    for ours, theirs in (
        ("vjepa2-vitl", "vjepa2-vitl-fpc64-256"),
        ("ijepa-vith16-448-in1k", "ijepa_vith16_1k"),
    ):
        official, folder = released.build(ours), released.build(f"facebook/{theirs}")
        shapes = {n: t.shape for n, t in official.modules["encoder"].state_dict().items()}

        assert {n: t.shape for n, t in folder.modules["encoder"].state_dict().items()} == shapes
        assert "target_encoder" in folder.absent_parts
        assert folder.input.size == official.input.size


def test_names_and_shapes_are_spelt_as_in_the_file():
    shapes = released.shapes("vjepa2-vitl")

    assert set(shapes) == {"encoder", "predictor", "target_encoder"}
    assert shapes["encoder"]["module.backbone.blocks.23.attn.qkv.weight"] == (3072, 1024)
    assert shapes["predictor"]["module.backbone.mask_tokens.9"] == (1, 1, 384)
    assert released.shapes("lewm-cube")[""]["action_encoder.patch_embed.weight"] == (10, 25, 1)


def test_content_of_full_size_takes_no_memory():
    tensors = [t for own in released.content("vjepa21-vitG-384").values() if own for t in own.values()]

    assert sum(t.numel() for t in tensors) > 3_700_000_000
    assert sum(t.untyped_storage().nbytes() for t in tensors) < 10_000


def test_every_published_file_name_of_the_facts_is_buildable():
    known = {released.find(name).file for name in released.names()}

    assert {file for files in RELEASED.values() for file in files} <= known


@pytest.mark.parametrize(
    "name", ["ijepa-vitg16-in22k", "vjepa2-vitl", "vjepa2-ac-vitg", "vjepa21-vitg-384", "lewm-pusht"]
)
def test_a_configuration_with_one_tensor_less_is_refused(name, monkeypatch):
    """The path is the loader's own: what it refuses in a file it refuses here."""
    whole = released.content(name)
    own = whole.get("predictor", whole)
    lost = next(n for n in own if n.endswith(("fc1.bias", "net.1.bias")))
    del own[lost]
    monkeypatch.setattr(released, "content", lambda name: whole)

    with pytest.raises((KeysDiffer, ShapesDiffer, ConfigDiffers)):
        released.build(name)


def test_released_configurations_cover_every_family():
    systems = {released.find(name).system for name in released.names()}

    assert systems == set(registry.systems())


def test_giant_mlp_is_cut_from_48_elevenths_and_gigantic_is_4():
    """Traps 14 and 15: 2.0's factories misspell the gigantic ratio; 2.1's do not."""
    assert released.build("vjepa2-vitg").modules["encoder"].blocks[0].mlp.fc1.out_features == 6144
    assert released.build("vjepa2-vit_gigantic").modules["encoder"].blocks[0].mlp.fc1.out_features == 6656
    assert released.build("vjepa21-vitG-384").modules["target_encoder"].blocks[0].mlp.fc1.out_features == 8192
