"""What the network is shown, and which pixels of the frame it came from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from jepa_core.preprocess import (
    FITS,
    centre_square_stretch,
    fit_frame,
    hugging_face_video,
    normalise,
    resized,
    short_side,
    short_side_antialiased,
    video_numpy,
    video_tensor,
)
from jepa_core.types import InputSpec

GOLDEN = Path(__file__).parents[1] / "golden/cases"
SPEC = InputSpec(size=32, frames=8, fps=4.0, tubelet=2, patch=8)


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize(("crop", "short"), [(224, 256), (256, 292), (384, 438), (448, 512)])
def test_short_side_is_the_official_one(crop, short):
    assert short_side(crop) == short


def test_long_side_is_truncated():
    assert resized(60, 90, 32) == (36, 54)
    assert resized(100, 333, 224) == (256, 852)  # 852.48
    assert resized(333, 100, 224) == (852, 256)
    assert resized(100, 337, 224) == (256, 862)  # 862.72
    assert resized(337, 100, 224) == (862, 256)


@given(st.integers(20, 300), st.integers(20, 300), st.sampled_from([32, 64, 224]), st.sampled_from([*FITS]))
def test_fitted_frame_is_square_and_its_box_lies_in_the_frame(height, width, size, fit):
    fitted, (x, y, w, h) = fit_frame(noise(height, width), size, fit)

    assert fitted.shape == (size, size, 3)
    assert fitted.dtype == np.uint8
    assert fitted.flags.c_contiguous
    assert not fitted.flags.writeable
    assert x >= -1e-9
    assert y >= -1e-9
    assert x + w <= width + 1e-6
    assert y + h <= height + 1e-6


@given(
    st.integers(40, 200),
    st.integers(40, 200),
    st.floats(0.1, 0.9),
    st.floats(0.1, 0.9),
    st.sampled_from([*FITS]),
)
def test_box_says_where_a_pixel_came_from(height, width, u, v, fit):
    """Paint a spot; find it in the fitted frame; the box maps it back to where it was painted."""
    size = 64
    _, (x, y, w, h) = fit_frame(np.zeros((height, width, 3), np.uint8), size, fit)
    centre = int(y + v * h), int(x + u * w)
    frame = np.zeros((height, width, 3), np.uint8)
    frame[max(centre[0] - 3, 0) : centre[0] + 4, max(centre[1] - 3, 0) : centre[1] + 4] = 255

    fitted = fit_frame(frame, size, fit)[0][..., 0].astype(float)
    rows, columns = np.indices(fitted.shape) + 0.5
    found_y = y + (rows * fitted).sum() / fitted.sum() * h / size
    found_x = x + (columns * fitted).sum() / fitted.sum() * w / size

    assert abs(found_y - (centre[0] + 0.5)) < 1.5
    assert abs(found_x - (centre[1] + 0.5)) < 1.5


def test_fitted_frame_does_not_depend_on_the_memory_layout():
    frame = noise(60, 90)
    view = noise(60, 180)
    view[:, ::2] = frame

    assert np.array_equal(fit_frame(view[:, ::2], 32)[0], fit_frame(frame, 32)[0])


def test_live_path_equals_the_official_route():
    """The same frames, one by one through fit_frame and then normalise, or at once."""
    frames = np.stack([noise(60, 90, seed) for seed in range(4)])
    crops = np.stack([fit_frame(frame, 32)[0] for frame in frames])

    live = normalise(crops, SPEC, "cpu", torch.float32)

    assert live.shape == (1, 3, 4, 32, 32)
    assert torch.equal(live[0], video_numpy(frames, 32))


def test_normalised_values_are_known():
    clip = np.zeros((1, 32, 32, 3), np.uint8)
    clip[..., 0] = 255

    out = normalise(clip, SPEC, "cpu", torch.float32)[0, :, 0, 0, 0]

    assert out.tolist() == pytest.approx([(1 - 0.485) / 0.229, -0.456 / 0.224, -0.406 / 0.225])


def test_normalise_leaves_its_read_only_input_alone():
    clip = np.stack([fit_frame(noise(60, 90), 32)[0]] * 2)
    clip.setflags(write=False)

    out = normalise(clip, SPEC, "cpu", torch.bfloat16)

    assert out.dtype == torch.bfloat16
    assert out.is_contiguous()


# --- the planners' fits: the whole height ----------------------------------------------------------------------------

ROUNDING = 0.5 / 255 / 0.224 + 1e-5  # the live route rounds to whole pixel values before it normalises


@pytest.mark.parametrize(
    ("fit", "published"), [("square", centre_square_stretch), ("square_antialiased", short_side_antialiased)]
)
@pytest.mark.parametrize(("height", "width"), [(72, 96), (96, 72), (200, 301), (40, 40)])
def test_live_fit_is_the_published_route_but_for_the_rounding(fit, published, height, width):
    frames = np.stack([noise(height, width, seed) for seed in range(3)])
    live = normalise(np.stack([fit_frame(frame, 64, fit)[0] for frame in frames]), SPEC, "cpu", torch.float32)
    assert (live[0] - published(frames, 64)).abs().max() <= ROUNDING


@pytest.mark.parametrize(
    ("fit", "published"), [("square", centre_square_stretch), ("square_antialiased", short_side_antialiased)]
)
def test_frame_of_the_input_size_passes_untouched(fit, published):
    frame = noise(64, 64)
    fitted, box = fit_frame(frame, 64, fit)
    assert np.array_equal(fitted, frame)
    assert box == (0.0, 0.0, 64.0, 64.0)
    assert torch.equal(normalise(fitted[None], SPEC, "cpu", torch.float32)[0], published(frame[None], 64))


def test_square_is_the_whole_height_and_the_crop_is_not():
    boxes = {fit: fit_frame(noise(480, 640), 224, fit)[1] for fit in FITS}
    assert boxes["square"] == (80.0, 0.0, 480.0, 480.0)
    assert boxes["square_antialiased"] == pytest.approx((80.0, 0.0, 480.0, 480.0), abs=1.1)
    assert boxes["crop"][3] == pytest.approx(420.0, abs=1.0)  # 224 of 256 of the short side


def test_arms_golden_clip_is_made_of_the_live_fit():
    with np.load(GOLDEN / "vjepa2ac-rope-base/io.npz") as arrays:
        frames, clips = arrays["frames_u8"], arrays["clips"]
    live = normalise(
        np.stack([fit_frame(frame, 64, "square")[0] for frame in frames]), SPEC, "cpu", torch.float32
    )
    assert np.abs(live.numpy() - clips).max() <= ROUNDING


def test_unknown_fit_is_named():
    with pytest.raises(ValueError, match="'stretch' is not one of crop, square"):
        fit_frame(noise(40, 40), 32, "stretch")


def test_official_crops_round_to_even_and_hugging_faces_begins_earlier():
    """57 px cropped to 50: 3.5 px on either side. Nothing is resized, and a pixel's value is its column."""
    columns = np.broadcast_to(np.arange(57, dtype=np.uint8)[None, None, :, None], (1, 57, 57, 3))

    first = {route.__name__: route(columns, 50).flatten()[0] for route in (video_numpy, video_tensor)}
    theirs = hugging_face_video(columns, 50).flatten()[0]

    for value in first.values():
        assert float(value) * 0.229 + 0.485 == pytest.approx(4 / 255, abs=1e-4)
    assert float(theirs) * 0.229 + 0.485 == pytest.approx(3 / 255, abs=1e-4)
