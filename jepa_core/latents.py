"""What several families do with latents and their tokens: target norm, mask indices, which placeholder to use.

Pure functions of tensors; the rules are those of `specs/ijepa-vjepa-vjepa2.md`, sections 5 and 6. Knows no family.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from jepa_core.design import Choices, Stored
from jepa_core.errors import ConfigDiffers


def normalise_target(latents: Tensor) -> Tensor:
    """Layer norm without weights, torch's own eps 1e-5, in float32 at least. latents (B, N, D)"""
    exact = latents if latents.dtype == torch.float64 else latents.float()
    return F.layer_norm(exact, exact.shape[-1:])


def token_numbers(mask: NDArray[np.int32], device: torch.device) -> Tensor:
    """Token numbers as torch wants them; widening copies, which the read-only mask needs anyway."""
    return torch.from_numpy(mask.astype(np.int64)).to(device)


def choose_mask_token(
    predictor: Mapping[str, Stored], count: int, choices: Choices
) -> tuple[int, dict[str, str]]:
    """The placeholder to predict with: the chosen one, else the only trained one, else number 0.

    predictor  the predictor's tensors, of which mask_tokens.0 … mask_tokens.{count - 1} are read
    returns    its number, and what to say of it in the load report. Raises ConfigDiffers for a number there is not.
    """
    if not count:
        return 0, {}
    norms = mask_token_norms(predictor, count)
    trained = [i for i, norm in enumerate(norms) if norm > 0]
    listed = ", ".join(f"{norm:.3g}" for norm in norms)
    if choices.mask_token is not None:
        check_mask_token(choices.mask_token, count)
        number, why = choices.mask_token, "chosen explicitly"
    elif len(trained) == 1:
        number, why = trained[0], "the only one with a non-zero norm"
    else:
        number, why = 0, "the rule where several are non-zero" if trained else "all are zero"
    return number, {"mask token": f"{number} of {count}: {why} (norms {listed})"}


def mask_token_norms(predictor: Mapping[str, Stored], count: int) -> list[float]:
    """Length of each placeholder mask_tokens.0 …; 0 tells one that was never trained."""
    names = [f"mask_tokens.{i}" for i in range(count)]
    return [float(predictor[name].read().float().norm()) if name in predictor else 0.0 for name in names]


def check_mask_token(number: int, count: int) -> None:
    """Raise ConfigDiffers for a placeholder there is not."""
    if not 0 <= number < count:
        raise ConfigDiffers(
            f"There is no mask token {number}: the file holds {count}, numbered from 0.", "Choose another."
        )
