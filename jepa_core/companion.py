"""The slot encoder that a person named for a C-JEPA predictor: two released files read as one checkpoint.

C-JEPA's CLEVRER predictors are released without the encoder whose slots they take. `<name>.card.json` beside the predictor
may name it: {"slot_encoder": "clevrer_videosaur_model.ckpt"}, a file in the same folder. Reads no weight.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from jepa_core.design import Config, WeightFile
from jepa_core.errors import ConfigDiffers

KEY = "slot_encoder"
ENCODER = ("backbone", "features", "slots", "start", "decoder")


def named_in(card: Mapping[str, Any], folder: Path) -> Path | None:
    """The file a card names, in this folder; None where it names none. Raises ConfigDiffers."""
    name = card.get(KEY)
    if name is None:
        return None
    if not isinstance(name, str) or not name or Path(name).name != name or name.startswith("."):
        raise ConfigDiffers(
            f"The card beside the checkpoint names {str(name)[:80]!r} as its {KEY}, which is no name of a file.",
            "Name a file that lies in the same folder, without a path.",
        )
    path = folder / name
    if not path.is_file():
        raise ConfigDiffers(
            f"The card beside the checkpoint names {name} as its slot encoder, and there is no such file.",
            "Put it into the same folder, or mend the card.",
        )
    return path


def joined(file: WeightFile, encoder: WeightFile) -> WeightFile:
    """The predictor's file with the encoder's parts. Raises ConfigDiffers where the two are not what they are taken for."""
    if set(file.parts) != {"predictor"}:
        raise ConfigDiffers(
            f"{file.name} is no predictor alone; its card names {encoder.name} as its slot encoder.",
            "Only C-JEPA's predictors are released without one. Mend the card.",
        )
    taken = {part: encoder.parts[part] for part in ENCODER if part in encoder.parts}
    if "slots" not in taken:
        raise ConfigDiffers(
            f"{encoder.name} is no slot encoder; the card beside {file.name} names it as one.",
            "Name a VideoSAUR checkpoint, or mend the card.",
        )
    unused = tuple(f"{encoder.name}: {part}" for part in encoder.parts if part not in taken)

    def spelling(part: str, name: str) -> tuple[str, ...]:
        own = encoder if part in taken else file
        return own.spelling(part, name) if own.spelling is not None else ()

    return replace(
        file,
        parts={**file.parts, **taken},
        ignored=(*file.ignored, *encoder.ignored, *unused),
        leftover=(*file.leftover, *(f"{encoder.name}: {name}" for name in encoder.leftover)),
        config=Config(
            {**encoder.config.values, **file.config.values}, file.config.source or encoder.config.source
        ),
        stated={**encoder.stated, **file.stated},
        foreign=(*file.foreign, *encoder.foreign),
        spelling=spelling,
    )
