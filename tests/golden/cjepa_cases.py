"""C-JEPA against the project's own code: slots, masks, decoder, masked mode, inference, roll-outs, costs, assignment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from jepa_core import checkpoint
from jepa_core.assignment import matched_error
from jepa_core.families.cjepa import CJepa
from tests.golden.files import torch_files, worst_of

Arrays = Mapping[str, np.ndarray]

INPUTS = frozenset(
    [
        "slots_hist",
        "rollout_obs_slots",
        "video",
        "init_noise",
        "pixels",
        "goal",
        "proprio",
        "goal_proprio",
        "actions",
        "masked_in",
        "hung_pred",
        "hung_goal",
        "reorder_pred",
        "reorder_ref",
    ]
)
COSTS = re.compile(r"cost|hung_cost")
TOLERANCE, COST, RELATIVE_COST = 1e-4, 1e-3, 1e-5  # stated in the cases' READMEs
EXACT = frozenset({"masked_slot_indices"})


def inputs_among(arrays: Arrays) -> frozenset[str]:
    """The arrays of a case that are given, not computed."""
    return INPUTS & set(arrays)


def tolerance_of(array: str) -> float:
    if array in EXACT:
        return 0.0
    return COST if COSTS.fullmatch(array) else TOLERANCE


def relative_of(array: str) -> float:
    return RELATIVE_COST if COSTS.fullmatch(array) else 0.0


def official(folder: Path, arrays: Arrays) -> dict[str, np.ndarray]:
    """Everything a case has a reference for, from every weight file in it, through the ordinary loader."""
    return worst_of(torch_files(folder), lambda path: _from(path, arrays), arrays)


def _from(path: Path, arrays: Arrays) -> dict[str, np.ndarray]:
    model = checkpoint.load(path, device="cpu", dtype="float32")
    assert isinstance(model, CJepa)
    given = {name: torch.from_numpy(array) for name, array in arrays.items()}
    with torch.inference_mode():
        out: dict[str, Tensor] = {}
        if "slots_hist" in given:
            out |= _predictor(model, given)
        if "video" in given:
            out |= _videosaur(model, given)
        if "pixels" in given:
            out |= _push_t(model, given)
    return {name: value.detach().numpy() for name, value in out.items() if name in arrays}


def _predictor(model: CJepa, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
    history = given["slots_hist"]
    filled = model.predict_masked(history)
    tokens = model.masked_tokens(history)
    out = {
        name: model.predictor(history[:, -int(match[1]) :])
        for name in given
        if (match := re.fullmatch(r"inference_short(\d+)", name))
    }
    if "rollout_pred_slots" in given:
        out["rollout_pred_slots"] = model.roll_slots(
            given["rollout_obs_slots"], len(given["rollout_pred_slots"])
        )
    return out | {
        "masked_slot_indices": model.hidden_slots(),
        "masked_input_tokens": tokens,
        "masked_forward": filled,
        "masked_hist_sqerr": (filled[:, : history.shape[1]] - history).square().mean(-1),
        "inference_full": model.predictor(history),
        "attention_last": model.predictor.last_attention(tokens),
    }


def _videosaur(model: CJepa, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
    clip = given["video"].transpose(1, 2)
    tokens, keys = model.patch_tokens(clip)
    features = model.features(clip)
    start = model.start(given["init_noise"])
    video = model.slot_video(clip, start)
    reconstruction, masks = model.decode(video.slots)
    again = model.slots_of(features[:, :1], video.slots[:, -1])
    return {
        "init_slots": start,
        "backbone_features": tokens,
        "keys12": keys,
        "features": features,
        "slots": video.slots,
        "slots_predicted": video.following,
        "grouping_masks": video.masks,
        "decoder_masks": masks,
        "decoder_reconstruction": reconstruction,
        "restart_slots": again.slots,
        "restart_masks": again.masks,
    }


def _push_t(model: CJepa, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Encode, roll every candidate out, cost; one environment at a time, as the published planner does."""
    S, out = model.reading.n_slots, {}
    starts = model.start(given["init_noise"])
    embedded, previous, goals, rolled, costs = [], [], [], [], []
    for b in range(len(starts)):
        clip, actions = given["pixels"][b : b + 1].transpose(1, 2), given["actions"][b]
        n = clip.shape[2]
        start, body = starts[b : b + 1], given["proprio"][b : b + 1]
        video = model.slot_video(clip, start)
        embedded.append(model.tokens(video.slots, body, actions[:1, :n]))
        memory = model.begin(clip, body, len(actions), history=actions[:, : n - 1], start=start)
        previous.append(memory.last_slots)
        goal = model.goal(
            given["goal"][b : b + 1].transpose(1, 2), given["goal_proprio"][b : b + 1], memory.last_slots
        )
        goals.append(goal[None, None])
        for t in range(n - 1, actions.shape[1]):
            memory = model.step(memory, actions[:, t])
        rolled.append(memory.tokens)
        costs.append(model.energy(memory, goal))
    out["init_slots"] = starts
    out["hist_embed"], out["hist_prev_slot"] = torch.cat(embedded), torch.cat(previous)
    out["goal_embed"] = torch.cat(goals)
    out["predicted_embedding"] = torch.stack(rolled)
    out["predicted_pixels_embed"] = out["predicted_embedding"][:, :, :, :S]
    out["predicted_proprio_embed"] = out["predicted_embedding"][:, :, :, S]
    out["cost"] = torch.stack(costs)
    out["masked_slot_indices"] = model.hidden_slots()
    out["masked_forward"] = model.predict_masked(given["masked_in"])
    out["inference"] = model.predictor(given["masked_in"])
    pairs = given["hung_pred"], given["hung_goal"]
    out["hung_cost"] = matched_error(*(t.flatten(0, -3) for t in pairs)).view(pairs[0].shape[:-2])
    out["reorder_out"] = model.reordered(given["reorder_pred"], given["reorder_ref"])
    return out
