"""The seven files a load report is shown for: tiny, made from a seed, right or wrong in one stated way.

`docs/make_load_report.py` prints the reports of these files, `tests/jepa_core/test_load_report.py` holds them.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from tests.golden.runner import CASES
from tests.helpers import ac_checkpoints, checkpoints, leveled_checkpoints, table_checkpoints


@dataclass(frozen=True)
class Situation:
    """One file, and what a person should learn of it."""

    title: str
    story: str  # what is wrong with the file, or right
    make: Callable[[Path], Path]  # in a fresh folder → what is opened


def right(folder: Path) -> Path:
    return checkpoints.write(folder)


def short_predictor(folder: Path) -> Path:
    """The field's sorest file: 12 blocks where the config promises 24, which a lenient loader fills at random."""
    predictor = replace(leveled_checkpoints.PREDICTOR, depth=12)
    settings = leveled_checkpoints.params(predictor=replace(predictor, depth=24))
    return leveled_checkpoints.write(folder, leveled_checkpoints.content(predictor=predictor), settings)


def encoder_only(folder: Path) -> Path:
    def drop(saved: checkpoints.Content) -> None:
        del saved["predictor"], saved["target_encoder"]

    return checkpoints.write(folder, change=drop)


def wrong_config(folder: Path) -> Path:
    """A V-JEPA 2 file beside which somebody put the params of a V-JEPA run."""
    return checkpoints.write(folder, settings=table_checkpoints.vjepa_params())


def distilled(folder: Path) -> Path:
    """The layout of the released V-JEPA 2.1 ViT-B and ViT-L."""
    settings = leveled_checkpoints.params(predictor=leveled_checkpoints.DISTILLED)
    return leveled_checkpoints.write(folder, leveled_checkpoints.distilled(), settings)


def action_predictor_alone(folder: Path) -> Path:
    def drop(saved: checkpoints.Content) -> None:
        del saved["encoder"], saved["target_encoder"]

    return ac_checkpoints.write(folder, change=drop)


def fine_tuned(folder: Path) -> Path:
    """A Hugging Face folder of a classifier: the model under a prefix, and two heads of its own."""
    shutil.copytree(CASES / "hf-vjepa2-a", folder / "hf", dirs_exist_ok=True)
    file = folder / "hf" / "model.safetensors"
    tensors = {f"vjepa2.{name}": tensor for name, tensor in load_file(file).items()}
    tensors |= {"pooler.query_tokens": torch.zeros(1, 1, 8), "classifier.weight": torch.zeros(174, 8)}
    save_file(tensors, file)
    return folder / "hf"


SITUATIONS: Mapping[str, Situation] = {
    "right": Situation(
        "The right file",
        "Encoder, target encoder and predictor of V-JEPA 2, with the params.yaml of their training.",
        right,
    ),
    "short": Situation(
        "A predictor that is too short",
        "A V-JEPA 2.1 file with 12 predictor blocks, beside a config that promises 24.",
        short_predictor,
    ),
    "encoder": Situation(
        "An encoder alone", "A V-JEPA 2 file without its predictor and its target encoder.", encoder_only
    ),
    "config": Situation(
        "Another system's config", "A V-JEPA 2 file beside the params of a V-JEPA run.", wrong_config
    ),
    "distilled": Situation(
        "A distilled V-JEPA 2.1",
        "The layout of the released ViT-B and ViT-L: the predictor speaks of a teacher's latents, which no file of the "
        "student holds.",
        distilled,
    ),
    "action": Situation(
        "An action predictor without its encoder",
        "A V-JEPA 2-AC file that lost its encoder.",
        action_predictor_alone,
    ),
    "fine-tuned": Situation(
        "A fine-tuned file with extra heads",
        "A Hugging Face classifier: a V-JEPA 2 model inside, a pooler and a classifier around it.",
        fine_tuned,
    ),
}
