"""What in a file shows of which system it is, in words: for the load report, from the names of its tensors alone.

Families choose which of these they say. Decides nothing; `recognises` does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jepa_core.transformer_facts import has_table, named_by, names_of, patch_shape
from jepa_core.votes import count_blocks


def numbered(keys: Iterable[str], stem: str) -> tuple[str, ...]:
    """ "predictor/mask_tokens.0 … 9" where there are numbered tensors under that stem."""
    last = count_blocks(keys, stem) - 1
    if last < 0:
        return ()
    return (f"{stem}.0 … {last}" if last else f"{stem}.0",)


def present(keys: Iterable[str], *starts: str) -> tuple[str, ...]:
    """Those of these beginnings that some name has, each once: "predictor/action_encoder", …"""
    names = list(keys)
    return tuple(start for start in starts if any(name.startswith(start) for name in names))


def masked(keys: Iterable[str], config: Mapping[str, Any]) -> tuple[str, ...]:
    """What tells I-JEPA, V-JEPA and V-JEPA 2 apart: who says so, placeholders, positions, patches, wrappers."""
    keys = list(keys)
    names = names_of(keys)
    found = [reason for reason in (named_by(config)[1],) if reason]
    if "mask_token" in names:
        found.append("predictor/mask_token, a single placeholder")
    found += numbered(keys, "predictor/mask_tokens")
    found.append("a position table" if has_table(names) else "no position table")
    axes = len(patch_shape(config))
    if axes in (4, 5):
        found.append(f"patch_embed.proj of {axes} axes: {'clips' if axes == 5 else 'pictures'}")
    wrappers = config.get("checkpoint_wrappers")
    if isinstance(wrappers, Sequence) and not isinstance(wrappers, str) and wrappers:
        found.append("names wrapped in " + " and ".join(sorted(map(str, wrappers), reverse=True)))
    return tuple(found)
