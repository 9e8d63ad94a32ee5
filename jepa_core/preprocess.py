"""From a frame to what a network is shown: resize, centre crop, normalise. One route per published transform.

`fit_frame` and `normalise` are the live path, in one of three fits, as the checkpoint's InputSpec says. It rounds the
resized picture to whole numbers before it normalises, so that what was shown can be kept; a frame that has the input's
size already is not resampled and nothing is rounded. The other routes exist because files from elsewhere were made with
them; they differ by up to 0.35 in normalised units (section 7), so none is silently replaced by another. Needs neither
torchvision nor PIL.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from jepa_core.cv import cv2
from jepa_core.types import Box, InputSpec, frozen

MEAN = (0.485, 0.456, 0.406)  # ImageNet, on the 0..1 scale
STD = (0.229, 0.224, 0.225)
HALF = (0.5, 0.5, 0.5)  # what the Hugging Face I-JEPA processor uses instead

Rgb = NDArray[np.uint8]

FITS = {
    "crop": "centre square of 224/256 of the short side (the official evaluation of the V-JEPA family)",
    "square": "centre square of the whole height, stretched without antialias (V-JEPA 2-AC's planner)",
    "square_antialiased": "short side to the input's size with antialias, then the centre (LeWorldModel, C-JEPA)",
}
"""What a frame loses on its way into the square a model sees; the words stand in load reports."""


def short_side(size: int) -> int:
    """Length the short side is resized to before a crop of `size`: 224 → 256, 256 → 292, 384 → 438."""
    return int(size * 256 / 224)


def resized(height: int, width: int, size: int) -> tuple[int, int]:
    """(height, width) after resizing the short side for a crop of `size`; the long side is truncated."""
    short = short_side(size)
    if width <= height:
        return int(short * height / width), short
    return short, int(short * width / height)


def crop_offsets(height: int, width: int, size: int) -> tuple[int, int]:
    """(top, left) of the centre crop."""
    return round((height - size) / 2), round((width - size) / 2)


def fit_frame(rgb: Rgb, size: int, fit: str = "crop") -> tuple[Rgb, Box]:
    """A frame as the square that a model of this fit sees. One of FITS.

    rgb      (H, W, 3) uint8
    returns  (size, size, 3) uint8 read-only, and the box of frame pixels it shows
    """
    if fit == "crop":
        return _fit_crop(rgb, size)
    if fit == "square":
        return _fit_square(rgb, size)
    if fit == "square_antialiased":
        return _fit_square_antialiased(rgb, size)
    raise ValueError(f"{fit!r} is not one of {', '.join(FITS)}")


def _fit_crop(rgb: Rgb, size: int) -> tuple[Rgb, Box]:
    """The official evaluation route of numpy frames: OpenCV bilinear without antialias, then the centre square."""
    height, width = rgb.shape[:2]
    new_height, new_width = resized(height, width, size)
    small = cv2.resize(np.ascontiguousarray(rgb), (new_width, new_height), interpolation=cv2.INTER_LINEAR)
    top, left = crop_offsets(new_height, new_width, size)
    x_scale, y_scale = width / new_width, height / new_height
    box = (left * x_scale, top * y_scale, size * x_scale, size * y_scale)
    return frozen(small[top : top + size, left : left + size]), box


def _fit_square(rgb: Rgb, size: int) -> tuple[Rgb, Box]:
    """`centre_square_stretch`, rounded: bilinear without antialias on pixel centres, in float."""
    height, width = rgb.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = rgb[top : top + side, left : left + side]
    box = (float(left), float(top), float(side), float(side))
    if side == size:
        return frozen(square), box
    stretched = F.interpolate(
        _channels_first(square[None]).float(), size=(size, size), mode="bilinear", align_corners=False
    )
    return frozen(stretched[0].round().to(torch.uint8).permute(1, 2, 0).numpy()), box


def _fit_square_antialiased(rgb: Rgb, size: int) -> tuple[Rgb, Box]:
    """`short_side_antialiased`, rounded before it is normalised: the two commute but for the rounding."""
    height, width = rgb.shape[:2]
    new_height, new_width = _short_side_to(height, width, size)
    top, left = crop_offsets(new_height, new_width, size)
    box = (
        left * width / new_width,
        top * height / new_height,
        size * width / new_width,
        size * height / new_height,
    )
    if (new_height, new_width) == (height, width):
        return frozen(rgb[top : top + size, left : left + size]), box
    small = F.interpolate(
        _channels_first(rgb[None]).float(),  # in float: torch's uint8 kernel rounds twice
        size=(new_height, new_width),
        mode="bilinear",
        align_corners=False,
        antialias=True,
    )[0, :, top : top + size, left : left + size]
    small = small.round().clamp(0, 255).to(torch.uint8)
    return frozen(small.permute(1, 2, 0).numpy()), box


def _short_side_to(height: int, width: int, size: int) -> tuple[int, int]:
    """(height, width) with the short side at `size`; the long side is truncated."""
    if width <= height:
        return int(size * height / width), size
    return size, int(size * width / height)


def normalise(clip: Rgb, spec: InputSpec, device: str | torch.device, dtype: torch.dtype) -> Tensor:
    """(T, S, S, 3) uint8 → (1, 3, T, S, S), scaled to 0..1, mean off, divided by deviation, on the device."""
    pixels = torch.from_numpy(np.array(clip)).to(device)  # a copy: torch has no read-only tensors
    return normalise_tensor(pixels.permute(3, 0, 1, 2), spec.mean, spec.std)[None].to(dtype)


def normalise_tensor(
    pixels: Tensor, mean: tuple[float, ...] = MEAN, std: tuple[float, ...] = STD, axis: int = 0
) -> Tensor:
    """Pixel values 0..255 with colours along `axis` → float32 of the same layout, contiguous."""
    shape = [1] * pixels.ndim
    shape[axis] = 3
    centre = torch.tensor(mean, device=pixels.device).view(shape)
    spread = torch.tensor(std, device=pixels.device).view(shape)
    return ((pixels.float() / 255 - centre) / spread).contiguous()


# --- the other published routes ----------------------------------------------------------------------------------


def video_numpy(frames: Rgb, size: int) -> Tensor:
    """V-JEPA and V-JEPA 2 video evaluation, numpy frames. (T, H, W, 3) uint8 → (3, T, size, size)"""
    fitted = np.stack([fit_frame(frame, size)[0] for frame in frames])
    return normalise_tensor(torch.from_numpy(fitted).permute(3, 0, 1, 2))


def video_tensor(frames: Rgb, size: int) -> Tensor:
    """The same transform given tensors: bilinear with antialias in float, then rounded. → (3, T, size, size)"""
    height, width = resized(frames.shape[1], frames.shape[2], size)
    small = F.interpolate(
        _channels_first(frames).float(),
        size=(height, width),
        mode="bilinear",
        align_corners=False,
        antialias=True,
    )
    top, left = crop_offsets(height, width, size)
    return normalise_tensor(small.round()[..., top : top + size, left : left + size].transpose(0, 1))


def image(rgb: Rgb, size: int) -> Tensor:
    """V-JEPA image evaluation (also for I-JEPA, which has none): antialiased, centre crop. (H, W, 3) → (3, size, size)"""
    return normalise_tensor(_fit_antialiased(rgb[None], size)[0])


def full_stretch(frames: Rgb, size: int) -> Tensor:
    """Training transform of a crop that is the whole frame: stretched to the square in float, no antialias.

    (T, H, W, 3) uint8 → (3, T, size, size)
    """
    stretched = F.interpolate(
        _channels_first(frames).float(), size=(size, size), mode="bilinear", align_corners=False
    )
    return normalise_tensor(stretched.transpose(0, 1))


def centre_square_stretch(frames: Rgb, size: int) -> Tensor:
    """V-JEPA 2-AC's notebook and planner: the centre square of the whole height, stretched as in `full_stretch`.

    Its training saw 16:9 video squeezed from 1.35:1 instead; on a square frame both are the identity but for the size.
    (T, H, W, 3) uint8 → (3, T, size, size)
    """
    height, width = frames.shape[1:3]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return full_stretch(frames[:, top : top + side, left : left + side], size)


def short_side_antialiased(frames: Rgb, size: int) -> Tensor:
    """LeWorldModel and C-JEPA's planner: normalise, then the short side to `size` with antialias, then the centre.

    A no-op but for normalising on frames of that size. (T, H, W, 3) uint8 → (3, T, size, size)
    """
    normed = normalise_tensor(_channels_first(frames), axis=1)  # (T, 3, H, W)
    height, width = _short_side_to(frames.shape[1], frames.shape[2], size)
    small = F.interpolate(normed, size=(height, width), mode="bilinear", align_corners=False, antialias=True)
    top, left = crop_offsets(height, width, size)
    return small[..., top : top + size, left : left + size].transpose(0, 1).contiguous()


def hugging_face_video(frames: Rgb, size: int) -> Tensor:
    """VJEPA2VideoProcessor: as `video_tensor`, time before colours. → (T, 3, size, size)

    Its crop begins half a pixel earlier where an odd number is left over; the official one rounds to the even side.
    """
    small = _antialiased(frames, *resized(frames.shape[1], frames.shape[2], size))
    top, left = ((side - size) // 2 for side in small.shape[-2:])
    return normalise_tensor(small[..., top : top + size, left : left + size], axis=1)


def hugging_face_ijepa_image(rgb: Rgb, size: int) -> Tensor:
    """The processor shipped with Hugging Face's I-JEPA: stretched to a square, mean and deviation 0.5. → (3, size, size)"""
    return normalise_tensor(_antialiased(rgb[None], size, size)[0], HALF, HALF)


def _channels_first(frames: Rgb) -> Tensor:
    return torch.from_numpy(np.array(frames)).permute(0, 3, 1, 2)  # (T, 3, H, W)


def _fit_antialiased(frames: Rgb, size: int) -> Tensor:
    """(T, H, W, 3) uint8 → (T, 3, size, size) uint8: short side by antialiased bilinear, centre crop."""
    height, width = resized(frames.shape[1], frames.shape[2], size)
    small = _antialiased(frames, height, width)
    top, left = crop_offsets(height, width, size)
    return small[..., top : top + size, left : left + size]


def _antialiased(frames: Rgb, height: int, width: int) -> Tensor:
    """(T, H, W, 3) → (T, 3, height, width) uint8. torch's uint8 kernel rounds as Pillow does."""
    return F.interpolate(
        _channels_first(frames), size=(height, width), mode="bilinear", align_corners=False, antialias=True
    )
