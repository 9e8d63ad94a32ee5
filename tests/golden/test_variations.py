"""Settings that no recorded case has: each written as a case folder by a plain reading of the specs, and run as one.

Every folder goes through the same runner as the recorded cases, so runner, loader and family are all held against it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.golden.plain import ac, cjepa, ebjepa, hugging_face, jepawm, leveled, lewm, masked
from tests.golden.plain.hugging_face import Layout
from tests.golden.runner import Outcome, run_case, table


def check(folder: Path, outcomes: list[Outcome], name: str) -> None:
    outcome = run_case(folder)
    outcomes.append(Outcome(f"{name} (plain)", outcome.status, *_rest(outcome)))
    assert outcome.status == "passed", "\n" + table([outcome])


def _rest(outcome: Outcome) -> tuple[int, float, str, str, tuple[str, ...]]:
    return outcome.checked, outcome.largest, outcome.tolerance, outcome.closest, outcome.problems


JEPA_WM = {
    "proprio-off": jepawm.Size(P=0, seed=1),
    "alpha-0": jepawm.Size(alpha=0.0, seed=2),
    "alpha-1": jepawm.Size(alpha=1.0, seed=3),
    "head-25": jepawm.Size(E=36, embed=42, P=8, heads=2, seed=4),
    "one-head-odd": jepawm.Size(E=16, embed=20, P=5, heads=1, seed=5),
    "window-3-deep": jepawm.Size(window=3, depth=4, side=3, steps=6, seed=6),
    "window-1": jepawm.Size(window=1, side=5, act=2, seed=7),
    "narrow-projection": jepawm.Size(E=30, embed=18, P=6, heads=3, hidden=72, seed=8),
    "dino-wm": jepawm.Size(kind="dino_wm", seed=9),
    "dino-wm-no-proprio": jepawm.Size(kind="dino_wm", P=0, frames=3, heads=3, seed=10),
    "dino-wm-window-3": jepawm.Size(
        kind="dino_wm", window=3, frames=3, side=3, depth=3, appended=10, seed=11
    ),
}


@pytest.mark.parametrize("name", JEPA_WM)
def test_jepa_wms_agree_with_a_plain_reading(name, tmp_path, outcomes):
    check(jepawm.write(tmp_path / f"jepawm-{name}", JEPA_WM[name]), outcomes, f"jepawm-{name}")


EB_JEPA = {
    "wide": ebjepa.Size(stacks=(6, 4, 10), width=32, side=66, seed=1),
    "small-picture": ebjepa.Size(side=40, width=20, steps=3, seed=2),
    "two-stacks": ebjepa.Size(stacks=(5, 7), side=33, blocks=1, seed=3),
    "four-stacks-three-blocks": ebjepa.Size(stacks=(3, 4, 5, 6), blocks=3, side=33, seed=4),
    "three-actions-one-sample": ebjepa.Size(action=3, batch=1, side=33, seed=5),
    "compiled": ebjepa.Size(compiled=True, side=33, seed=6),
    "one-channel": ebjepa.Size(channels=1, side=33, seed=7),
}


@pytest.mark.parametrize("name", EB_JEPA)
def test_eb_jepa_agrees_with_a_plain_reading(name, tmp_path, outcomes):
    check(ebjepa.write(tmp_path / f"ebjepa-{name}", EB_JEPA[name]), outcomes, f"ebjepa-{name}")


I_JEPA = {
    "two-contexts": masked.Size(contexts=2, masks=3, seed=1),
    "one-block-batch-3": masked.Size(contexts=1, masks=1, batch=3, seed=2),
    "ratio-48-11": masked.Size(width=40, heads=5, hidden=174, ratio=48 / 11, p_width=20, seed=3),
    "one-head-deep": masked.Size(width=24, heads=1, hidden=96, depth=4, p_width=16, p_depth=3, seed=4),
    "patch-14-stored": masked.Size(patch=14, side=70, noise=0.3, contexts=3, seed=5),
    "remainder": masked.Size(patch=8, side=44, seed=6),
    "wide-predictor": masked.Size(width=32, heads=8, hidden=128, p_width=64, seed=7),
    "no-target": masked.Size(parts=("encoder", "predictor"), seed=8),
    "no-context": masked.Size(parts=("target_encoder", "predictor"), seed=9),
}


@pytest.mark.parametrize("name", I_JEPA)
def test_i_jepa_agrees_with_a_plain_reading(name, tmp_path, outcomes):
    size = replace(I_JEPA[name], system="ijepa", tubelet=0, p_heads=I_JEPA[name].heads)
    if size.p_width % size.heads:
        size = replace(size, p_width=4 * size.heads * (size.p_width // (4 * size.heads) or 1))
    check(masked.write(tmp_path / f"ijepa-{name}", size), outcomes, f"ijepa-{name}")


V_JEPA = {
    "plain-shares": masked.Size(uniform=False, width=48, heads=4, p_width=32, p_heads=4, seed=1),
    "uniform-cut": masked.Size(uniform=True, width=40, heads=4, hidden=160, p_width=28, p_heads=4, seed=2),
    "loss-2": masked.Size(loss_exp=2.0, seed=3),
    "loss-1.5-three-masks": masked.Size(loss_exp=1.5, masks=3, mask_tokens=3, seed=4),
    "one-mask": masked.Size(masks=1, mask_tokens=1, batch=1, seed=5),
    "tubelet-4": masked.Size(tubelet=4, frames=12, side=24, seed=6),
    "tubelet-1": masked.Size(tubelet=1, frames=3, side=24, seed=7),
    "patch-16": masked.Size(patch=16, side=64, frames=4, seed=8),
    "other-sizes": masked.Size(
        others=(
            ("odd", (7, 32, 32)),
            ("remainder", (8, 35, 44)),
            ("tall", (4, 56, 24)),
            ("longer", (18, 32, 32)),
            ("nine", (9, 32, 32)),
            ("small", (2, 16, 16)),
        ),
        seed=9,
    ),
    "stored": masked.Size(noise=0.4, others=(("big", (10, 48, 48)),), seed=10),
    "other-sizes-plain-shares": masked.Size(
        uniform=False, p_width=48, others=(("big", (6, 40, 56)),), seed=11
    ),
    "no-target": masked.Size(parts=("encoder", "predictor"), seed=12),
    "pictures": masked.Size(tubelet=0, frames=1, side=40, others=(("big", (56, 56)),), seed=13),
}


@pytest.mark.parametrize("name", V_JEPA)
def test_v_jepa_agrees_with_a_plain_reading(name, tmp_path, outcomes):
    size = replace(V_JEPA[name], system="vjepa", p_heads=V_JEPA[name].heads)
    check(masked.write(tmp_path / f"vjepa-{name}", size), outcomes, f"vjepa-{name}")


SURPRISE = {
    "stride-4": (masked.Size(seed=1), {"length": 20, "contexts": (2, 6), "stride": 4}),
    "one-window": (masked.Size(seed=2, side=24), {"length": 8, "contexts": (4,), "videos": 3}),
    "odd-stride": (masked.Size(seed=3, frames=6, side=24), {"length": 11, "contexts": (2, 4), "stride": 1}),
}


@pytest.mark.parametrize("name", SURPRISE)
def test_surprise_agrees_with_a_plain_reading(name, tmp_path, outcomes):
    size, procedure = SURPRISE[name]
    folder = tmp_path / f"vjepa-surprise-{name}"
    size = replace(size, system="vjepa", p_heads=size.heads)
    check(masked.write_surprise(folder, size, **procedure), outcomes, folder.name)


V_JEPA_2 = {
    "head-20": masked.Size(width=60, heads=3, hidden=240, p_width=40, p_heads=2, seed=1),
    "head-13-odd": masked.Size(width=26, heads=2, hidden=104, p_width=39, p_heads=3, seed=2),
    "head-104": masked.Size(width=104, heads=1, hidden=416, p_width=36, p_heads=1, seed=3),
    "head-4-no-turn": masked.Size(width=24, heads=6, hidden=96, p_width=20, p_heads=4, seed=4),
    "heads-of-the-encoder": masked.Size(no_config_heads=True, p_heads=3, seed=5),
    "swiglu-wide": masked.Size(gated=True, wide=True, hidden=128, seed=6),
    "swiglu-both": masked.Size(gated=True, wide=True, hidden=128, p_gated=True, p_hidden=96, seed=7),
    "swiglu-both-narrow": masked.Size(gated=True, hidden=192, p_gated=True, p_hidden=144, seed=8),
    "swiglu-predictor-alone": masked.Size(p_gated=True, wide=True, p_hidden=96, seed=9),
    "ten-tokens": masked.Size(mask_tokens=10, seed=10),
    "one-token": masked.Size(mask_tokens=1, masks=1, seed=11),
    "three-groups": masked.Size(groups=(8, 4, 2), mask_tokens=6, seed=12),
    "short-group-first": masked.Size(groups=(4, 8), mask_tokens=4, seed=13),
    "table": masked.Size(rope=False, uniform=False, p_width=48, seed=14),
    "table-uniform": masked.Size(rope=False, width=40, heads=4, hidden=160, p_width=28, p_heads=4, seed=15),
    "table-groups": masked.Size(rope=False, groups=(8, 4), mask_tokens=4, seed=16),
    "table-stored-other-sizes": masked.Size(
        rope=False,
        noise=0.3,
        others=(
            ("short", (4, 32, 32)),
            ("long", (12, 32, 32)),
            ("wide", (8, 24, 48)),
            ("short_wide", (4, 40, 24)),
            ("odd", (5, 32, 32)),
        ),
        seed=17,
    ),
    "rotary-other-sizes": masked.Size(
        stray=True,
        others=(
            ("long", (14, 32, 32)),
            ("wide", (4, 24, 56)),
            ("remainder", (7, 37, 43)),
            ("two", (2, 8, 8)),
        ),
        seed=18,
    ),
    "pictures": masked.Size(tubelet=0, frames=1, side=48, others=(("tall", (56, 24)),), seed=19),
    "pictures-table": masked.Size(
        tubelet=0, frames=1, rope=False, side=40, others=(("big", (64, 64)),), seed=20
    ),
    "pictures-swiglu": masked.Size(tubelet=0, frames=1, gated=True, wide=True, hidden=128, seed=21),
    "loss-2": masked.Size(loss_exp=2.0, seed=22),
    "tubelet-4": masked.Size(tubelet=4, frames=16, side=24, seed=23),
    "patch-16-deep": masked.Size(patch=16, side=64, frames=4, depth=5, p_depth=4, seed=24),
    "no-target": masked.Size(parts=("encoder", "predictor"), seed=25),
    "no-context": masked.Size(parts=("target_encoder", "predictor"), seed=26),
    "ratio-48-11": masked.Size(hidden=209, ratio=48 / 11, seed=27),
    "batch-1": masked.Size(batch=1, seed=28),
}


@pytest.mark.parametrize("name", V_JEPA_2)
def test_v_jepa_2_agrees_with_a_plain_reading(name, tmp_path, outcomes):
    check(masked.write(tmp_path / f"vjepa2-{name}", V_JEPA_2[name]), outcomes, f"vjepa2-{name}")


ANTICIPATION = {
    "three-steps": (
        masked.Size(encoder_frames=4, frames=16, seed=1),
        {"fps": 8, "times": (1.0, 0.3), "steps": (1, 3)},
    ),
    "whole-clip": (masked.Size(frames=8, seed=2), {"fps": 4, "times": (0.25, 0.75, 1.0), "steps": (2,)}),
    "swiglu": (
        masked.Size(encoder_frames=4, frames=8, gated=True, wide=True, hidden=128, seed=3),
        {"fps": 2, "times": (1.0,), "steps": (1, 2)},
    ),
}


@pytest.mark.parametrize("name", ANTICIPATION)
def test_anticipation_agrees_with_a_plain_reading(name, tmp_path, outcomes):
    size, recipe = ANTICIPATION[name]
    folder = tmp_path / f"vjepa2-anticipate-{name}"
    check(masked.write_anticipation(folder, size, **recipe), outcomes, folder.name)


HF_V_JEPA_2 = {
    "one-token-other-heads": (
        masked.Size(mask_tokens=1, width=60, heads=2, hidden=240, p_width=40, p_heads=4, seed=1),
        Layout(),
    ),
    "off-the-square": (masked.Size(seed=2), Layout()),
    "shards": (masked.Size(seed=3), Layout("shards")),
    "bin": (masked.Size(seed=4, depth=1), Layout("bin")),
    "bin-shards": (masked.Size(seed=5, p_depth=1), Layout("bin-shards")),
    "in-a-classifier": (masked.Size(seed=6), Layout(wrapped=True)),
    "eps-1e-3": (masked.Size(seed=7), Layout(eps=1e-3)),
    "ratio-48-11-tubelet-4": (masked.Size(hidden=209, ratio=48 / 11, tubelet=4, side=40, seed=8), Layout()),
    "one-frame-clips": (masked.Size(tubelet=1, frames=3, seed=9), Layout()),
}
CLIPS = (
    ("single", (1, 32, 32)),
    ("long", (14, 32, 32)),
    ("wide", (4, 24, 56)),
    ("odd", (7, 32, 40)),
    ("small", (2, 16, 16)),
)


@pytest.mark.parametrize("name", HF_V_JEPA_2)
def test_hugging_face_v_jepa_2_agrees_with_a_plain_reading(name, tmp_path, outcomes):
    size, layout = HF_V_JEPA_2[name]
    folder = hugging_face.write_vjepa2(tmp_path / f"hf-vjepa2-{name}", size, layout, clips=CLIPS)
    check(folder, outcomes, folder.name)


HF_I_JEPA = {
    "old-names": (masked.Size(seed=1), Layout()),
    "new-names": (masked.Size(seed=2, heads=4), Layout(new_names=True)),
    "in-a-classifier": (masked.Size(seed=3), Layout(wrapped=True)),
    "new-names-in-a-classifier": (masked.Size(seed=4), Layout(wrapped=True, new_names=True)),
    "class-eps": (masked.Size(seed=5), Layout(eps=1e-12)),
    "eps-1e-3": (masked.Size(seed=6), Layout(eps=1e-3)),
    "shards": (masked.Size(seed=7, depth=3), Layout("shards")),
    "bin": (masked.Size(seed=8), Layout("bin", new_names=True)),
    "patch-14": (masked.Size(seed=9, patch=14, side=70, hidden=100), Layout()),
}


@pytest.mark.parametrize("name", HF_I_JEPA)
def test_hugging_face_i_jepa_agrees_with_a_plain_reading(name, tmp_path, outcomes):
    size, layout = HF_I_JEPA[name]
    size = replace(size, system="ijepa", tubelet=0, frames=1, noise=0.3)
    pictures = (("big", (64, 64)), ("wide", (40, 72)), ("small", (28, 30)))
    folder = hugging_face.write_ijepa(tmp_path / f"hf-ijepa-{name}", size, layout, pictures=pictures)
    check(folder, outcomes, folder.name)


V_JEPA_21 = {
    "distilled": leveled.Size(levels=1, teacher=40, parts=("ema_encoder",), seed=1),
    "distilled-swiglu": leveled.Size(
        levels=1, teacher=28, parts=("ema_encoder",), p_gated=True, p_hidden=64, seed=2
    ),
    "plain-video": leveled.Size(modality=False, pictures=False, context_head=False, prefix="module.", seed=3),
    "plain-video-as-counted": leveled.Size(
        modality=False,
        pictures=False,
        context_head=False,
        scaled=False,
        p_scaled=False,
        prefix="module.",
        seed=4,
    ),
    "hub-predictor": leveled.Size(p_scaled=False, seed=5),
    "as-counted": leveled.Size(scaled=False, seed=6),
    "one-level-own-width": leveled.Size(levels=1, seed=7),
    "deep-24": leveled.Size(depth=24, width=16, heads=2, hidden=64, p_depth=2, side=48, frames=4, seed=8),
    "odd-heads": leveled.Size(
        width=26, heads=2, hidden=128, ratio=128 / 26, p_width=21, p_heads=3, p_depth=2, seed=9
    ),
    "one-head-swiglu": leveled.Size(
        p_gated=True, p_hidden=64, p_heads=1, mask_tokens=1, side=96, frames=4, seed=10
    ),
    "encoder-alone-besides": leveled.Size(parts=("encoder",), seed=11),
    "no-marks": leveled.Size(modality=False, seed=12),
    "no-context-head": leveled.Size(context_head=False, seed=13),
    "no-pictures": leveled.Size(pictures=False, batch=1, seed=14),
}


@pytest.mark.parametrize("name", V_JEPA_21)
def test_v_jepa_21_agrees_with_a_plain_reading(name, tmp_path, outcomes):
    check(leveled.write(tmp_path / f"vjepa21-{name}", V_JEPA_21[name]), outcomes, f"vjepa21-{name}")


NOTEBOOK = (0.15, 0.75, 0.15, 0.15)
FUNCTION = (0.25, 0.95, 0.15, 0.15)
V_JEPA_2_AC = {
    "camera": ac.Size(camera=True, seed=1),
    "camera-no-rope": ac.Size(camera=True, rope=False, p_rope=False, p_gated=True, p_hidden=128, seed=2),
    "off-the-square": ac.Size(rows=3, columns=5, seed=3),
    "tall": ac.Size(rows=5, columns=2, width=48, heads=3, hidden=192, seed=4),
    "off-the-square-table": ac.Size(rows=2, columns=4, rope=False, seed=5),
    "not-normed": ac.Size(normalises=False, repeats=(1,), seed=6),
    "loss-2-four-steps": ac.Size(loss_exp=2.0, auto_steps=4, frames=6, seed=7),
    "short": ac.Size(frames=3, auto_steps=2, limit=4, seed=8),
    "head-20-three-deep": ac.Size(width=40, hidden=160, depth=3, p_width=60, p_heads=3, p_depth=3, seed=9),
    "head-13": ac.Size(width=26, hidden=104, p_width=39, p_heads=3, repeats=(3,), seed=10),
    "swiglu": ac.Size(p_gated=True, p_hidden=128, seed=11),
    "predictor-without-places": ac.Size(p_rope=False, seed=12),
    "stray-table-no-target": ac.Size(stray=True, parts=("encoder",), prefix="module.backbone.", seed=13),
    "target-alone": ac.Size(parts=("target_encoder",), seed=14),
    "planner": ac.Size(
        seed=15,
        runs=(
            ac.Run("cem_h1", iterations=3),
            ac.Run("cem_h2", horizon=2, samples=12, elites=4, limit=0.075, momenta=NOTEBOOK),
            ac.Run("cem_h3", horizon=3, samples=8, elites=2, momenta=(0.3, 0.6, 0.05, 0.4)),
            ac.Run(
                "cem_h2_opts",
                horizon=2,
                momenta=FUNCTION,
                words="default momenta (.25/.95/.15/.15)",
                fixed={0: 0.01, 1: -0.02},
                close=0,
            ),
            ac.Run("cem_close", horizon=3, close=2, fixed={2: 0.03, 3: 0.5}),
        ),
    ),
}


@pytest.mark.parametrize("name", V_JEPA_2_AC)
def test_v_jepa_2_ac_agrees_with_a_plain_reading(name, tmp_path, outcomes):
    check(ac.write(tmp_path / f"vjepa2ac-{name}", V_JEPA_2_AC[name]), outcomes, f"vjepa2ac-{name}")


LE_WM = {
    "other-widths": lewm.Size(D=32, Dh=48, out=32, seed=1),
    "three-widths": lewm.Size(D=24, Dh=40, out=28, heads=5, head_dim=8, seed=2),
    "output-alone": lewm.Size(D=32, Dh=32, out=20, seed=3),
    "new-names": lewm.Size(new_names=True, seed=4),
    "new-names-wrapped": lewm.Size(new_names=True, wrapper="model.", seed=5),
    "compiled": lewm.Size(wrapper="_orig_mod.", seed=6),
    "one-head-without-output": lewm.Size(heads=1, head_dim=32, seed=7),
    "one-head-with-output": lewm.Size(heads=1, head_dim=20, seed=8),
    "one-frame-history": lewm.Size(h=1, seed=9),
    "five-frame-history": lewm.Size(h=5, context=4, steps=7, seed=10),
    "two-context-frames": lewm.Size(context=2, steps=4, seed=11),
    "context-as-long-as-history": lewm.Size(context=3, steps=3, seed=12),
    "longer-context-than-history": lewm.Size(h=2, context=4, steps=6, seed=13),
    "newer-rule": lewm.Size(context=3, steps=4, newer=True, seed=14),
    "newer-rule-two-frames": lewm.Size(context=2, steps=3, newer=True, batch=2, seed=15),
    "two-environments": lewm.Size(batch=2, candidates=2, seed=16),
    "three-environments": lewm.Size(batch=3, candidates=4, context=2, seed=17),
    "wide-action": lewm.Size(action=25, smoothed=7, seed=18),
    "narrow-action": lewm.Size(action=2, seed=19),
    "patch-16-one-layer": lewm.Size(patch=16, side=64, layers=1, vit=48, vit_heads=4, seed=20),
    "other-picture-size": lewm.Size(shown=(56, 70), seed=21),
    "other-plans": lewm.Size(spread=0.7, temperature=2.0, elites=5, steps=3, seed=22),
}


@pytest.mark.parametrize("name", LE_WM)
def test_le_world_model_agrees_with_a_plain_reading(name, tmp_path, outcomes):
    check(lewm.write(tmp_path / f"lewm-{name}", LE_WM[name]), outcomes, f"lewm-{name}")


def test_le_world_model_under_the_drive_archives_names(tmp_path, outcomes):
    folder = lewm.write(
        tmp_path / "lewm-drive", lewm.Size(context=3, seed=30), name="lejepa_weight.ckpt", with_config=False
    )
    check(folder, outcomes, folder.name)


C_JEPA_PREDICTOR = {
    "clevrer-like": cjepa.Size(S=7, h=6, p=10, masked=4, observed=30, wanted=22, seed=1),
    "skip-that-does-not-divide": cjepa.Size(
        S=5, h=4, p=2, masked=2, frameskip=3, observed=20, wanted=11, seed=2
    ),
    "skip-5": cjepa.Size(S=4, h=3, p=1, masked=2, frameskip=5, observed=18, wanted=7, seed=3),
    "nothing-hidden": cjepa.Size(S=6, h=5, p=3, masked=0, frameskip=1, observed=9, wanted=10, seed=4),
    "all-hidden": cjepa.Size(S=3, h=2, p=4, masked=3, frameskip=1, observed=5, wanted=6, seed=5),
    "other-seed": cjepa.Size(S=7, h=6, p=2, masked=3, seed_mask=7, seed=6),
    "one-frame-history": cjepa.Size(S=4, h=1, p=3, frameskip=2, observed=6, wanted=8, seed=7),
    "many-heads": cjepa.Size(D=48, S=4, heads=12, depth=3, hidden=30, wanted=3, seed=8),
    "history-equals-future": cjepa.Size(S=4, h=3, p=3, frameskip=2, observed=12, wanted=13, seed=9),
}


@pytest.mark.parametrize("name", C_JEPA_PREDICTOR)
def test_c_jepa_predictor_agrees_with_a_plain_reading(name, tmp_path, outcomes):
    folder = cjepa.write_predictor(tmp_path / f"cjepa-predictor-{name}", C_JEPA_PREDICTOR[name])
    check(folder, outcomes, folder.name)


VIDEOSAUR = {
    "seven-slots": cjepa.Size(S=7, vit_layers=3, seed=1),
    "new-names": cjepa.Size(new_names=True, vit_layers=3, seed=2),
    "table-of-the-size": cjepa.Size(table_side=56, vit_layers=3, frames=1, seed=3),
    "two-blocks-other-heads": cjepa.Size(
        D=36, slot_blocks=2, slot_heads=3, decoder_blocks=3, vit_layers=2, seed=4
    ),
    "long-renderer": cjepa.Size(rendered=(20, 24, 28, 32, 36), vit_layers=2, vit_heads=4, frames=4, seed=5),
    "other-iterations": cjepa.Size(iterations=(4, 1), vit_layers=2, seed=7),
    "one-layer-renderer": cjepa.Size(rendered=(50,), vit_layers=2, vit_ratio=4, side=42, seed=6),
}


@pytest.mark.parametrize("name", VIDEOSAUR)
def test_c_jepa_slots_agree_with_a_plain_reading(name, tmp_path, outcomes):
    folder = cjepa.write_videosaur(tmp_path / f"cjepa-videosaur-{name}", VIDEOSAUR[name])
    check(folder, outcomes, folder.name)


PUSH_T = {
    "two-environments": cjepa.Size(vit_layers=2, batch=2, seed=1),
    "two-observed-frames": cjepa.Size(vit_layers=2, batch=1, nobs=2, seed=2),
    "observed-as-long-as-history": cjepa.Size(vit_layers=2, batch=1, nobs=3, steps=6, seed=3),
    "longer-observed-than-history": cjepa.Size(vit_layers=2, batch=1, h=2, nobs=4, steps=6, seed=4),
    "two-frames-per-call": cjepa.Size(vit_layers=2, batch=1, h=3, p=2, nobs=1, steps=5, seed=5),
    "three-frames-per-call": cjepa.Size(vit_layers=2, batch=1, h=4, p=3, nobs=2, steps=8, seed=6),
    "three-slots-nothing-hidden": cjepa.Size(vit_layers=2, batch=1, S=3, masked=0, act=2, prop=7, seed=7),
    "five-slots": cjepa.Size(vit_layers=2, batch=1, S=5, masked=2, candidates=2, steps=3, seed=8),
}


@pytest.mark.parametrize("name", PUSH_T)
def test_c_jepa_with_actions_agrees_with_a_plain_reading(name, tmp_path, outcomes):
    folder = cjepa.write_push_t(tmp_path / f"cjepa-pusht-{name}", PUSH_T[name])
    check(folder, outcomes, folder.name)
