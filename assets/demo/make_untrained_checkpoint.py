"""Write an untrained V-JEPA 2 checkpoint of demo size, in the official file layout.

Seeded random weights, drawn as the official code initialises them. It has learnt nothing, and its card says so: what any
measure of the trained one must beat, and a stand-in for tests. From the repository's root:
`python -m assets.demo.make_untrained_checkpoint --out FOLDER`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from assets.demo import cell_layout as layout

SEED = 2026
CARD = {
    "title": "Cell, untrained",
    "trained": False,
    "notes": ["untrained: seeded random weights, it has learnt nothing"],
    "layout": "V-JEPA 2, official checkpoint layout",
    "seed": SEED,
    "made_by": "assets/demo/make_untrained_checkpoint.py",
}


def write(folder: Path, stem: str = "untrained") -> Path:
    """Write checkpoint, parameters and card side by side; the target encoder equals the encoder."""
    encoder, predictor = layout.fresh_modules(SEED)
    return layout.write(folder, stem, layout.checkpoint_of(encoder, encoder, predictor), CARD)


def main() -> None:
    parser = argparse.ArgumentParser(description="write the untrained demo checkpoint")
    parser.add_argument("--out", type=Path, required=True, help="folder to write into")
    write(parser.parse_args().out)


if __name__ == "__main__":
    main()
