"""The registry: strings only, every family reachable, drills never offered."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from jepa_core import registry
from jepa_core.registry import looks_like

ROOM = Path(registry.__file__).parent / "families"


def test_every_family_file_has_its_line():
    files = {p.stem for p in ROOM.glob("*.py")} - {"__init__", "base"}
    lines = {
        target.partition(":")[0].rpartition(".")[2]
        for target in (registry.FAMILIES | registry.DRILL_FAMILIES).values()
    }

    assert files == lines


@pytest.mark.parametrize("name", [*registry.FAMILIES, *registry.DRILL_FAMILIES])
def test_every_line_leads_to_a_class(name):
    assert isinstance(registry.family(name), type)


def test_toy_is_never_offered():
    assert not set(registry.FAMILIES) & set(registry.DRILL_FAMILIES)
    assert "toy" in registry.DRILL_FAMILIES


def test_registry_imports_nothing_heavy():
    code = "import sys, jepa_core.registry, jepa_core.masks; sys.exit('torch' in sys.modules or 'yaml' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


@pytest.mark.parametrize(
    ("keys", "name"),
    [
        ({"predictor/mask_token", "encoder/pos_embed"}, "I-JEPA"),
        ({"predictor/action_encoder.weight", "predictor/predictor_embed.weight"}, "V-JEPA 2-AC"),
        ({"encoder/norms_block.0.weight"}, "V-JEPA 2.1"),
        ({"encoder/pos_embed", "predictor/mask_tokens.0"}, "V-JEPA"),
        ({"/encoder.embeddings.cls_token", "/predictor.pos_embedding"}, "LeWorldModel"),
        ({"/something"}, ""),
    ],
)
def test_foreign_systems_are_named(keys, name):
    assert looks_like(frozenset(keys), {}) == name


def test_foreign_hugging_face_model_is_named_by_its_type():
    assert looks_like(frozenset({"/x"}), {"model_type": "dinov2"}) == "a Hugging Face 'dinov2' model"
