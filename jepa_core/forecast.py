"""How much device memory a model and one look will take, before anything is loaded, and what would fit instead.

Counted at the widest moments of a look as the engine makes it; `tests/helpers/rehearsal.py` runs that very code on
tensors without memory and holds these sums against it, tests/gpu against the CUDA allocator. Pure, no torch.
"""

from __future__ import annotations

from collections.abc import Mapping

from jepa_core import ladder
from jepa_core.design import LookSize
from jepa_core.types import MaskRule

ITEM_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
WORKSPACE = 32 << 20  # of the matrix library on a GPU of 2022 and later; 8 MB on older ones
EXACT = 4  # bytes of a float32: targets, their norm and every error are computed in it
# Share of the tokens that one look predicts, section 8.4 of specs/ijepa-vjepa-vjepa2.md; single blocks overlap.
SHORT, LONG, PICTURE, REGION = 0.62, 0.81, 0.69, 0.5
GENERATED = {"short": SHORT, "long": LONG, "picture": PICTURE}


def forecast_bytes(
    parameters: int, dtype: str, look: LookSize, rule: MaskRule | None = None, *, device: str = "cpu"
) -> int:
    """Device memory of the weights and one look, bytes.

    parameters  numbers the model holds
    dtype       "float32" | "bfloat16" | "float16"
    rule        which tokens are hidden; None = the newest two time steps
    device      "cpu" | "cuda" | "cuda:N"
    """
    shared = WORKSPACE if device.startswith("cuda") else 0
    return parameters * ITEM_BYTES[dtype] + look_bytes(look, dtype, rule, device=device) + shared


def look_bytes(look: LookSize, dtype: str, rule: MaskRule | None = None, *, device: str = "cpu") -> int:
    """The most that stands in memory at one moment of a look, weights apart."""
    d = ITEM_BYTES[dtype]
    N, D, V, P = look.tokens, look.width, look.input_values, look.predictor_width
    wide, latents = look.latent_width or D, look.latents or N
    hidden = hidden_share(rule or MaskRule(), look.steps) if P else 0.0
    clip = V * d
    held = 2 * clip  # and the same cut into patches
    seen = max(1 - hidden, 0) if P else 0
    context = seen * N * wide * d
    target = latents * wide * EXACT
    asked = hidden * latents * wide  # values predicted
    # The bytes of the pictures, then float32 before and after one step of their normalisation.
    preparing = V * (1 + 2 * EXACT)
    # A block: the stream before and after attention, its norm, the MLP's hidden layer before and after activation; or
    # stream and norm, the fused projection, and queries and keys turned. Beside it the features taken on the way.
    block = N * d * max(7 * D, 3 * D + 2 * look.hidden)
    encoding = held + context + block + (look.levels - 1) * N * D * d
    # The context comes first, from patches of its own. The CPU's convolution copies the patches it is given.
    copied = 0 if device.startswith("cuda") else clip
    seeing = held + seen * (clip + max(block, copied + N * D * d))
    embedding = held + context + copied + N * D * d
    # The target norm: what it is made of, the same in float32 where it was not, and the result.
    norming = held + context + target + latents * wide * (d + EXACT if d < EXACT else EXACT)
    predicting = held + context + target + latents * d * 11 * P
    # The single predictions and targets beside all of them together; then their difference, its size, both in float32.
    collecting = held + context + target + asked * 2 * (d + EXACT)
    comparing = clip + context + target + asked * (d + EXACT + EXACT * (3 if d < EXACT else 2))
    moments = (preparing, seeing, embedding, encoding, norming, predicting, collecting, comparing)
    return round(max(moments))


def hidden_share(rule: MaskRule, steps: int) -> float:
    """How many of the tokens a look of `steps` time steps predicts; several blocks may predict the same one."""
    if rule.kind == "future":
        return min(max(rule.predict_steps, 1), max(steps - 1, 1)) / max(steps, 1)
    return GENERATED.get(rule.generator, SHORT) if rule.kind == "multiblock" else REGION


# --- in words ----------------------------------------------------------------------------------------------------


def in_words(count: int) -> str:
    """1536000000 → "1.5 GB"."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"


def rung_words(rung: ladder.Rung) -> str:
    """ "256 px, 16 frames, bfloat16"; a picture has no frames to count."""
    frames = f"{rung.frames} frames, " if rung.frames > 1 else ""
    return f"{rung.size} px, {frames}{rung.dtype}"


def advice(needed: int, free: int, choices: Mapping[str, int]) -> str:
    """ "needs 11.4 GB, you have 8.0 GB; fits at 256 px, 16 frames, bfloat16".

    needed   bytes of what was asked for
    free     bytes free on the device, below 0 unknown
    choices  what would be possible instead and what each needs, the best first
    """
    if free < 0:
        return f"needs {in_words(needed)}"
    if needed <= free:
        return f"needs {in_words(needed)}, you have {in_words(free)}; fits"
    fitting = next((words for words, size in choices.items() if size <= free), None)
    instead = f"fits at {fitting}" if fitting else "fits in no way this checkpoint can be shown"
    return f"needs {in_words(needed)}, you have {in_words(free)}; {instead}"
