"""One look of C-JEPA at a clip: the slots of every frame, the newest of them predicted, each pair compared.

Slots have no order of their own: before a predicted frame is compared with the real one, every real slot is given the
predicted slot that fits it best, and which one that was is told. Follows specs/lewm-cjepa.md, sections 2.4, 2.7 and 6.
Belongs to the family; asks it for its parts and holds no weights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from jepa_core import action_stats
from jepa_core.assignment import match, reorder
from jepa_core.errors import NotAble
from jepa_core.families.base import Motion, Prediction
from jepa_core.masks import future_steps
from jepa_core.types import MaskSet

if TYPE_CHECKING:
    from jepa_core.families.cjepa import CJepa, SlotVideo


def look(model: CJepa, clip: Tensor, masks: MaskSet, motion: Motion | None) -> Prediction:
    """Slots of all frames from one start; the newest frames rolled out from those before and compared after assignment.

    Where nothing can be predicted the slots are there all the same, and `note` says why. Raises NotAble where the file
    has no slot encoder, or the masks ask for anything but whole frames to come.
    """
    T = clip.shape[2]
    given = T - future_steps(masks, model.grid(T))
    try:
        body = _body(model, motion, T)
    except NotAble as reason:
        return _seen(_video(model, clip), reason.what)
    video = _video(model, clip)
    predicted, attention = _rolled(model, video, given, body)  # (1, k, S, D), (1, S, S)
    actual = video.slots[:, given:].float()
    orders = torch.stack([match(predicted[:, t], actual[:, t]) for t in range(predicted.shape[1])], dim=1)
    fitted = reorder(predicted.flatten(0, 1), orders.flatten(0, 1))  # (k, S, D)
    newest = orders[:, -1]
    return Prediction(
        predicted=fitted.flatten(0, 1)[None],
        target=actual.flatten(1, 2),
        context=video.slots[:, :given].flatten(1, 2).float(),
        latents=video.slots.flatten(1, 2).float(),
        regions=regions_of(video),
        attention=attention.gather(1, newest[..., None].expand_as(attention)),
        assignment=orders,
    )


def regions_of(video: SlotVideo) -> Tensor:
    """(B, S, h, w): the share of each patch of the newest frame that a slot explains; sums to 1 over the slots."""
    newest = video.masks[:, -1]
    side = round(newest.shape[-1] ** 0.5)
    return newest.unflatten(-1, (side, side)).float()


def slot_attention(weights: Tensor, frames: int, row: int, slots: int) -> Tensor:
    """What the slots of one frame look at, over all times.

    weights   (B, T·N, T·N) of one layer, N tokens per frame of which the first `slots` are objects
    returns   (B, S, S) row = slot of frame `row`, column = slot; a row sums to 1 less what goes to other nodes
    """
    by_frame = weights.unflatten(1, (frames, -1)).unflatten(3, (frames, -1))  # (B, T, N, T, N)
    return by_frame[:, row, :slots, :, :slots].sum(2).float()


def _video(model: CJepa, clip: Tensor) -> SlotVideo:
    return model.slot_video(clip, model.seeded_start(clip.shape[0]))


def _seen(video: SlotVideo, note: str) -> Prediction:
    """A look without a prediction."""
    slots = video.slots.flatten(1, 2).float()
    nothing = slots[:, :0]
    return Prediction(nothing, nothing, slots, slots, regions=regions_of(video), note=note)


def _body(model: CJepa, motion: Motion | None, frames: int) -> tuple[Tensor, Tensor] | None:
    """Action blocks (1, T - 1, A) and body readings (1, T, n) in standard deviations; None where this file takes none.

    Raises NotAble, in words, where they are missing, or the file predicts nothing at all.
    """
    reading = model.reading
    if reading.predictor is None:
        raise NotAble(
            "This file is a slot encoder alone: it shows objects and predicts nothing.",
            "C-JEPA's predictor is another file; Push-T's has both.",
        )
    if not reading.action:
        return None
    blocks = action_stats.blocks_of(motion, frames, reading.action, reading.action_statistics, "C-JEPA")
    states = motion.states if motion is not None else None
    if states is None:
        raise NotAble(
            "This source gives nothing of the body; C-JEPA must know it at every frame.",
            f"Use a trajectory that records {reading.proprio} numbers of proprioception.",
        )
    if states.shape != (1, frames, reading.proprio):
        raise NotAble(
            f"This source gives {states.shape[-1]} numbers of the body per frame; this C-JEPA takes {reading.proprio}.",
            "Its states are of another body.",
        )
    statistics = reading.proprio_statistics
    states = states if statistics is None else statistics.apply(states)
    return blocks, action_stats.within_range(states, "body readings", statistics)


def _rolled(
    model: CJepa, video: SlotVideo, given: int, body: tuple[Tensor, Tensor] | None
) -> tuple[Tensor, Tensor]:
    """Predicted slots of the frames after the first `given` (1, k, S, D), and what those of the last one looked at."""
    wanted, S = video.slots.shape[1] - given, model.reading.n_slots
    if body is None:
        return _free(model, video.slots[:, :given], wanted)
    blocks, states = body
    memory = model.started(video.slots[:, :given], states[:, :given], 1, blocks[:, : given - 1])
    for t in range(given, given + wanted):
        memory = model.step(memory, blocks[:, t - 1])
    return memory.tokens[:, given:, :S].float(), _looked_at(model, memory.tokens, given)


def _looked_at(model: CJepa, tokens: Tensor, given: int) -> Tensor:
    """What the slots of the last frame of a rollout looked at, in the order the rollout gave them: (1, S, S).

    tokens (1, T, S + 2, D), every frame but the last with its action: the call that made the last frame is made again.
    """
    predictor, S, last = model.predictor, model.reading.n_slots, tokens.shape[1] - 1
    h, future = predictor.spec.history, predictor.spec.future
    start = given + (last - given) // future * future  # first frame of that call
    history = tokens[:, max(0, start - h) : start]
    asked = predictor.inference_tokens(history)
    weights = predictor.last_attention(asked)
    looked = slot_attention(weights, asked.shape[1], history.shape[1] + last - start, S)
    order = match(predictor.fill(asked)[:, history.shape[1], :S], history[:, -1, :S])
    return looked.gather(1, order[..., None].expand_as(looked))


def _free(model: CJepa, history: Tensor, wanted: int) -> tuple[Tensor, Tensor]:
    """CLEVRER's roll-out, every frame of the clip one step: the last frames again and again, predictions included."""
    predictor, S = model.predictor, model.reading.n_slots
    h, future = predictor.spec.history, predictor.spec.future
    sequence, predicted = history[:, -h:], history[:, :0]
    while True:
        tokens = predictor.inference_tokens(sequence)
        more = predictor.fill(tokens)[:, sequence.shape[1] :]
        row = sequence.shape[1] + min(wanted - predicted.shape[1], future) - 1
        predicted = torch.cat((predicted, more), dim=1)
        if predicted.shape[1] >= wanted:
            break
        sequence = torch.cat((sequence, more), dim=1)[:, -h:]
    weights = predictor.last_attention(tokens)
    return predicted[:, :wanted].float(), slot_attention(weights, tokens.shape[1], row, S)
