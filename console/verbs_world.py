"""The verb `evaluate-world`: the embedded world's own table of measures for a checkpoint."""

from __future__ import annotations

from argparse import Namespace

from console.config import Config
from console.progress import Progress
from console.verbs_common import cancel_on_signals, wants_json
from console.verbs_output import say, say_json


def evaluate_world(arguments: Namespace, config: Config) -> int:
    """Print the table; 0 done."""
    from console.world_table import evaluate_cell
    from jepa_core import checkpoint

    cancel = cancel_on_signals()
    progress = Progress(as_lines=arguments.progress_lines)
    try:
        model = checkpoint.load(
            arguments.checkpoint, config=getattr(arguments, "config", None), device=config.model.device,
            dtype=config.model.dtype, progress=progress.show, cancel=cancel,
        )  # fmt: skip
        table = evaluate_cell(
            model, scenes=arguments.scenes, seed=arguments.world_seed, say=progress.show, cancel=cancel
        )
    finally:
        progress.end()
    if wants_json(arguments):
        say_json(table.to_json())
        return 0
    say(f"{table.checkpoint}, sha256 {table.sha256[:12]}…, on the cell, seed {table.seed}")
    for line in table.lines():
        say(line)
    nominal = table.nominal_error
    say(
        f"error of single tokens in possible scenes: mean {nominal['mean']:.3f}, median {nominal['p50']:.3f}, p99 {nominal['p99']:.3f}"
    )
    say(
        "pairwise: an impossible movie scored above the possible one it begins as, both directions; intervals: Wilson, 95 %"
    )
    return 0
