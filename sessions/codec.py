"""Frames to picture files and back, and model steps to fixed-shape rows and back.

Pure functions on arrays; owns nothing. What `decode` gives for recorded bytes is what the model saw, so nothing here
may depend on anything but its arguments.
"""

from __future__ import annotations

import dataclasses
import struct
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jepa_core.cv import cv2
from jepa_core.errors import Damaged, WriteFailed
from jepa_core.masks import masks_from_roles, roles_of
from jepa_core.types import Inspection, TokenLayout, frozen
from sessions.schema import MISSING_ROW

LARGEST_SIDE = 16384  # pixels; a picture file that claims more is not opened


def encode_jpeg(rgb: NDArray[np.uint8], quality: int = 95) -> bytes:
    """A complete JPEG file of one frame. rgb (H, W, 3) uint8. Raises WriteFailed where it cannot be encoded."""
    ok, data = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not ok:
        raise WriteFailed(f"A frame of shape {rgb.shape} could not be encoded as JPEG.")
    return bytes(data.tobytes())


def encode_png(rgb: NDArray[np.uint8]) -> bytes:
    """A complete PNG file of one frame, lossless. rgb (H, W, 3) uint8."""
    ok, data = cv2.imencode(".png", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, 1])
    if not ok:
        raise WriteFailed(f"A frame of shape {rgb.shape} could not be encoded as PNG.")
    return bytes(data.tobytes())


def decode(encoded: bytes) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB, read-only, of a JPEG or PNG file. Raises Damaged."""
    size = picture_size(encoded)
    if size is None or not (0 < size[0] <= LARGEST_SIDE and 0 < size[1] <= LARGEST_SIDE):
        raise Damaged("A recorded picture cannot be decoded.", "Its row and its times are still shown.")
    try:
        bgr = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error as error:
        raise Damaged("A recorded picture cannot be decoded.", "", str(error)) from error
    if bgr is None:
        raise Damaged("A recorded picture cannot be decoded.", "Its row and its times are still shown.")
    rgb: NDArray[np.uint8] = frozen(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB))
    return rgb


def crc32_of(rgb: NDArray[np.uint8]) -> int:
    """CRC-32 of the decoded bytes, so that a different decoder is noticed."""
    return zlib.crc32(np.ascontiguousarray(rgb).data)


def picture_size(encoded: bytes) -> tuple[int, int] | None:
    """(width, height) a JPEG or PNG file claims, without decoding it; None where it claims none."""
    if encoded[:8] == b"\x89PNG\r\n\x1a\n" and len(encoded) >= 24:
        width, height = struct.unpack(">II", encoded[16:24])
        return width, height
    if encoded[:2] != b"\xff\xd8":
        return None
    position = 2
    while position + 9 <= len(encoded) and encoded[position] == 0xFF:
        marker = encoded[position + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # start of frame
            height, width = struct.unpack(">HH", encoded[position + 5 : position + 9])
            return width, height
        if marker == 0xFF:
            position += 1
            continue
        position += 2 + int(struct.unpack(">H", encoded[position + 2 : position + 4])[0])
    return None


def step_row(
    dtype: np.dtype[Any],
    inspection: Inspection,
    *,
    step: int,
    row_of_seq: Mapping[int, int],
    signal_names: Sequence[str],
    has_payload: bool,
) -> NDArray[Any]:
    """One model step as a row of the stream's fixed shape: (1,) of `dtype`.

    A clip shorter than the stream's (the first seconds of a source) fills the first time steps; the rest is padding:
    token_error NaN, token_role 0, clip 2^64-1. Without payload (let go under pressure) all tokens are padding.
    """
    row = np.zeros(1, dtype)
    one = row[0]
    clip_length = one["clip"].shape[0]
    clip_rows = [row_of_seq.get(seq, MISSING_ROW) for seq in inspection.clip]
    roles = roles_of(inspection.masks, inspection.layout) if has_payload else None
    one["step"], one["look"], one["seq"], one["t_mono_ns"] = (
        step,
        inspection.step,
        inspection.seq,
        inspection.t_ns,
    )
    one["crop"] = inspection.layout.crop
    one["clip"] = _padded(clip_rows, clip_length)
    one["clip_seq"] = _padded(inspection.clip, clip_length)
    one["t_start_mono_ns"], one["t_end_mono_ns"] = inspection.start_ns, inspection.end_ns
    one["surprise"] = inspection.signals.get("surprise", np.nan)
    one["mask_seed"] = inspection.masks.seed
    one["effective_rank"] = inspection.signals.get("effective_rank", np.nan)
    one["feature_std_mean"] = inspection.signals.get("feature_std_mean", np.nan)
    one["signals"] = [inspection.signals.get(name, np.nan) for name in signal_names]
    one["token_error"] = np.nan
    for name, values in zip(("pooled_predicted", "pooled_target", "pooled_context"), inspection.pooled):
        one[name] = values if has_payload else np.nan
    spans = {"frame": (1, 3), "target": (2, 3)}
    for name, wanted in spans.items():
        first, last = _span(roles, wanted, inspection.layout.tubelet, clip_rows)
        one[f"{name}_first"], one[f"{name}_last"] = first, last
    if "slot_order" in (dtype.names or ()):
        one["slot_region"], one["slot_order"] = np.nan, -1
        if has_payload and inspection.regions is not None:
            one["slot_region"] = inspection.regions
        if has_payload and inspection.assignment:
            one["slot_order"] = inspection.assignment
    if roles is not None:
        steps = inspection.layout.shape[0]
        one["token_error"][:steps] = inspection.error.reshape(inspection.layout.shape)
        one["token_role"][:steps] = roles
    return row


def inspection_of(
    one: Any,
    *,
    kind: str,
    tubelet: int,
    metric: str,
    checkpoint: str,
    signal_names: Sequence[str],
) -> Inspection:
    """The Inspection that a recorded row holds: `one` maps column names to values, padding included.

    Several target masks come back as their union, and `colors` is None: neither is recorded.
    """
    clip = tuple(int(seq) for seq in one["clip_seq"] if int(seq) != MISSING_ROW)
    error = np.asarray(one["token_error"], np.float32)
    steps = max(1, len(clip) // max(1, tubelet)) if clip else error.shape[0]
    steps = min(steps, error.shape[0])
    shape = (steps, error.shape[1], error.shape[2])
    x, y, width, height = (float(side) for side in one["crop"])
    masks = masks_from_roles(np.asarray(one["token_role"], np.uint8)[:steps], int(one["mask_seed"]))
    if not masks.targets[0].size:
        masks = dataclasses.replace(masks, targets=())  # as a live look has it
    pooled = np.stack([one["pooled_predicted"], one["pooled_target"], one["pooled_context"]])
    signals = {name: float(value) for name, value in zip(signal_names, one["signals"])}
    return Inspection(
        seq=int(one["seq"]),
        t_ns=int(one["t_mono_ns"]),
        clip=clip,
        layout=TokenLayout(kind, shape, tubelet, (x, y, width, height)),
        masks=masks,
        error=frozen(error[:steps].reshape(-1)),
        metric=metric,
        signals=signals,
        pooled=frozen(np.asarray(pooled, np.float32)),
        colors=None,
        start_ns=int(one["t_start_mono_ns"]),
        end_ns=int(one["t_end_mono_ns"]),
        checkpoint=checkpoint,
        step=int(one["look"]),
        **_slots_of(one),
    )


def _slots_of(one: Any) -> dict[str, Any]:
    """Where the slots of a look lie and how they were paired; nothing for streams and versions without them."""
    try:
        regions, order = np.asarray(one["slot_region"], np.float32), np.asarray(one["slot_order"])
    except (KeyError, ValueError):
        return {}
    known = {} if np.isnan(regions).any() or not regions.size else {"regions": frozen(regions)}
    return known | ({"assignment": tuple(int(slot) for slot in order)} if (order >= 0).all() else {})


def _padded(values: Sequence[int], length: int) -> NDArray[np.uint64]:
    row = np.full(length, MISSING_ROW, np.uint64)
    row[: len(values)] = np.array(values, np.uint64)
    return row


def _span(
    roles: NDArray[np.uint8] | None, wanted: tuple[int, int], tubelet: int, clip_rows: Sequence[int]
) -> tuple[int, int]:
    """First and last camera row of the time steps in which some token has one of these roles."""
    if roles is None:
        return MISSING_ROW, MISSING_ROW
    times = np.flatnonzero(np.isin(roles, wanted).any(axis=(1, 2)))
    if times.size == 0:
        return MISSING_ROW, MISSING_ROW
    rows = clip_rows[int(times[0]) * tubelet : (int(times[-1]) + 1) * tubelet]
    return (rows[0], rows[-1]) if rows else (MISSING_ROW, MISSING_ROW)
