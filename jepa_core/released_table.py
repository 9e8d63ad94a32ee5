"""The configurations the authors released: which file, which tensors in it, which config beside it.

Numbers come from the families' own facts, names and shapes from `released_tensors`; here they are put together. Reads
and builds nothing; `released` does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from jepa_core import released_tensors as tensors
from jepa_core import vjepa21_facts
from jepa_core.released_tensors import Shapes
from jepa_core.transformer_facts import MODELS, RELEASED
from jepa_core.transformer_facts import Released as Masked
from jepa_core.vjepa2_ac_facts import RELEASED_FILE as AC_FILE


@dataclass(frozen=True, slots=True)
class Released:
    """One configuration: the file as its authors wrote it."""

    system: str
    file: str  # its published name; of sizes that only the code names, what its training would call it
    parts: Callable[[], Mapping[str, Shapes]]  # part → tensors; the part "" is a flat file
    prefix: str = ""  # what the training loop put before every name of a part
    config: Mapping[str, Any] = field(default_factory=dict)
    beside: str = "config.json"  # where that config stands
    wrapper: str = ""  # the dictionary a flat file's tensors lie in: "state_dict"


def _masked(system: str, file: str, published: Masked, prefix: str, **more: Any) -> Released:
    """I-JEPA, V-JEPA, V-JEPA 2 in the official layout."""
    D, L, _, ratio = MODELS[published.model_name]
    has_table = system != "V-JEPA 2"
    T, rows, columns = published.native
    n = T * rows * columns if has_table else 0

    def parts() -> Mapping[str, Shapes]:
        encoder = tensors.encoder(D, L, int(D * ratio), published.patch, published.tubelet, n)
        mask_tokens = 0 if system == "I-JEPA" else published.mask_tokens
        predictor = tensors.predictor(D, published.predictor_width, published.predictor_depth, mask_tokens, n)
        return {"encoder": encoder, "predictor": predictor, "target_encoder": dict(encoder)}

    return Released(system, file, parts, prefix, **more)


def _official() -> dict[str, Released]:
    slugs = {
        "IN1K-vit.h.14-300e.pth.tar": "ijepa-vith14-in1k",
        "IN1K-vit.h.16-448px-300e.pth.tar": "ijepa-vith16-448-in1k",
        "IN22K-vit.h.14-900e.pth.tar": "ijepa-vith14-in22k",
        "IN22K-vit.g.16-600e.pth.tar": "ijepa-vitg16-in22k",
    }
    prefixes = {"I-JEPA": "module.", "V-JEPA": "module.backbone.", "V-JEPA 2": "module.backbone."}
    out = {}
    for system, files in RELEASED.items():
        for file, published in files.items():
            stem = file.partition(".")[0]
            slug = slugs.get(file) or f"{system.lower().replace('-', '').replace(' ', '')}-{stem}"
            out[slug] = _masked(system, file, published, prefixes[system])
    return out


def _action_conditioned() -> Released:
    def parts() -> Mapping[str, Shapes]:
        encoder = tensors.encoder(1408, 40, 6144, 16, 2)
        predictor = tensors.action_predictor(1408, 1024, 24, 7)
        return {"encoder": encoder, "predictor": predictor, "target_encoder": dict(encoder)}

    return Released("V-JEPA 2-AC", AC_FILE, parts, "module.")


def _leveled(size: tuple[int, int], file: str) -> Released:
    published = vjepa21_facts.RELEASED[size]
    D, L = size

    def parts() -> Mapping[str, Shapes]:
        encoder = tensors.leveled_encoder(D, L, published.hidden)
        predictor = tensors.leveled_predictor(
            D,
            vjepa21_facts.PREDICTOR_WIDTH,
            published.predictor_depth,
            vjepa21_facts.MASK_TOKENS,
            published.levels,
            published.output_width,
        )
        if published.output_width != D:  # distilled: one encoder, and neither a student nor a teacher
            return {"ema_encoder": encoder, "predictor": predictor}
        return {"encoder": encoder, "predictor": predictor, "target_encoder": dict(encoder)}

    return Released("V-JEPA 2.1", file, parts, "module.backbone.")


def _hugging_face() -> dict[str, Released]:
    out = {}
    for repository, file in {
        "vjepa2-vitl-fpc64-256": "vitl.pt",
        "vjepa2-vith-fpc64-256": "vith.pt",
        "vjepa2-vitg-fpc64-256": "vitg.pt",
        "vjepa2-vitg-fpc64-384": "vitg-384.pt",
    }.items():
        out[f"facebook/{repository}"] = _hugging_face_vjepa2(repository, RELEASED["V-JEPA 2"][file])
    for repository, file in {
        "ijepa_vith14_1k": "IN1K-vit.h.14-300e.pth.tar",
        "ijepa_vith16_1k": "IN1K-vit.h.16-448px-300e.pth.tar",
        "ijepa_vith14_22k": "IN22K-vit.h.14-900e.pth.tar",
        "ijepa_vitg16_22k": "IN22K-vit.g.16-600e.pth.tar",
    }.items():
        out[f"facebook/{repository}"] = _hugging_face_ijepa(repository, RELEASED["I-JEPA"][file])
    return out


def _hugging_face_vjepa2(repository: str, published: Masked) -> Released:
    D, L, heads, ratio = MODELS[published.model_name]
    P, L_p = published.predictor_width, published.predictor_depth
    config = {
        "model_type": "vjepa2",
        "patch_size": published.patch,
        "crop_size": published.size,
        "frames_per_clip": published.frames,
        "tubelet_size": published.tubelet,
        "hidden_size": D,
        "num_attention_heads": heads,
        "num_hidden_layers": L,
        "mlp_ratio": ratio,
        "layer_norm_eps": 1e-6,
        "hidden_act": "gelu",
        "pred_hidden_size": P,
        "pred_num_attention_heads": published.predictor_heads,
        "pred_num_hidden_layers": L_p,
        "pred_num_mask_tokens": published.mask_tokens,
        "pred_mlp_ratio": float(tensors.PREDICTOR_RATIO),
    }

    def parts() -> Mapping[str, Shapes]:
        return {"": tensors.hugging_face_vjepa2(D, L, int(D * ratio), P, L_p, published.mask_tokens)}

    return Released("V-JEPA 2", repository, parts, config=config)


def _hugging_face_ijepa(repository: str, published: Masked) -> Released:
    D, L, heads, ratio = MODELS[published.model_name]
    side = published.size // published.patch
    config = {
        "model_type": "ijepa",
        "hidden_size": D,
        "num_hidden_layers": L,
        "num_attention_heads": heads,
        "intermediate_size": int(D * ratio),
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-6,
        "image_size": published.size,
        "patch_size": published.patch,
        "num_channels": 3,
        "qkv_bias": True,
    }

    def parts() -> Mapping[str, Shapes]:
        return {"": tensors.hugging_face_ijepa(D, L, int(D * ratio), published.patch, side * side)}

    return Released("I-JEPA", repository, parts, config=config)


def _timm() -> dict[str, Released]:
    """I-JEPA encoders under their official names, bare (9.3)."""
    out = {}
    for name, file in {
        "vit_huge_patch14_gap_224.in1k_ijepa": "IN1K-vit.h.14-300e.pth.tar",
        "vit_huge_patch16_gap_448.in1k_ijepa": "IN1K-vit.h.16-448px-300e.pth.tar",
        "vit_huge_patch14_gap_224.in22k_ijepa": "IN22K-vit.h.14-900e.pth.tar",
        "vit_giant_patch16_gap_224.in22k_ijepa": "IN22K-vit.g.16-600e.pth.tar",
    }.items():
        whole = _masked("I-JEPA", file, RELEASED["I-JEPA"][file], "")
        out[f"timm/{name}"] = Released("I-JEPA", name, partial(_encoder_alone, whole))
    return out


def _encoder_alone(whole: Released) -> Mapping[str, Shapes]:
    return {"": whole.parts()["encoder"]}


def _lewm(action: int) -> Released:
    config = {
        "_target_": "stable_worldmodel.wm.lewm.LeWM",
        "encoder": {
            "size": "tiny",
            "patch_size": 14,
            "image_size": 224,
            "pretrained": False,
            "use_mask_token": False,
        },
        "predictor": {
            "num_frames": 3,
            "input_dim": 192,
            "hidden_dim": 192,
            "output_dim": 192,
            "depth": 6,
            "heads": 16,
            "mlp_dim": 2048,
            "dim_head": 64,
        },
        "action_encoder": {"input_dim": action, "emb_dim": 192},
        "projector": {"input_dim": 192, "output_dim": 192, "hidden_dim": 2048},
        "pred_proj": {"input_dim": 192, "output_dim": 192, "hidden_dim": 2048},
    }
    return Released("LeWorldModel", "weights.pt", lambda: {"": tensors.lewm(action)}, config=config)


def _cjepa() -> dict[str, Released]:
    """Section 2.5. SAVi's own encoder is not among them: it is not reproduced here."""
    out = {}
    for data, rows, most in (("clevrer", 16, 4), ("pusht", 4, 2)):
        file = f"{data}_videosaur_model.ckpt"
        out[f"cjepa-{data}-videosaur"] = Released("C-JEPA", file, _videosaur, wrapper="state_dict")
        for encoder in ("videosaur", "savi") if data == "clevrer" else ("videosaur",):
            for masked in range(most + 1):
                file = f"{data}_{encoder}_{masked}_epoch_30_object.ckpt"
                if data == "clevrer":
                    made = Released("C-JEPA", file, partial(_slot_predictor, rows))
                else:
                    made = Released("C-JEPA", file, partial(_pusht, rows), "model.")
                out[f"cjepa-{data}-{encoder}-{masked}"] = made
    return out


def _videosaur() -> Mapping[str, Shapes]:
    return {"": tensors.slot_encoder("processor.module") | tensors.slot_decoder()}


def _slot_predictor(rows: int) -> Mapping[str, Shapes]:
    return {"": tensors.slot_predictor(rows)}


def _pusht(rows: int) -> Mapping[str, Shapes]:
    predictor = {f"predictor.{name}": shape for name, shape in tensors.slot_predictor(rows).items()}
    nodes = tensors.pointwise("action_encoder", 10) | tensors.pointwise("proprio_encoder", 4)
    return {"": predictor | tensors.slot_encoder("slot_attention.module") | nodes}


def _in_code() -> dict[str, Released]:
    """Sizes that the official code names and nobody released: as training would save them, with its params.yaml."""
    out = {}
    for name in MODELS:
        if not name.endswith("xformers") and name not in ("vit_gigantic", "vit_synthetic"):
            out[f"ijepa-{name}"] = _trained_ijepa(name)
        if not name.endswith("xformers") and name != "vit_synthetic":
            out[f"vjepa-{name}"] = _trained_vjepa(name)
        out[f"vjepa2-{name}"] = _trained_vjepa2(name, name)
    for name in ("vit_large", "vit_huge", "vit_giant", "vit_giant_xformers"):
        out[f"vjepa2-{name}_rope"] = _trained_vjepa2(name, f"{name}_rope")
    return out


def _trained_ijepa(name: str) -> Released:
    size = Masked(name, 224, 16, 0, 1, 12, MODELS[name][2], 1)
    config = {
        "data": {"crop_size": size.size},
        "mask": {"patch_size": size.patch, "num_enc_masks": 1, "num_pred_masks": 4},
        "meta": {
            "model_name": name,
            "pred_depth": size.predictor_depth,
            "pred_emb_dim": size.predictor_width,
        },
    }
    return _masked(
        "I-JEPA", "jepa-latest.pth.tar", size, "module.", config=config, beside="params-ijepa.yaml"
    )


def _trained_vjepa(name: str) -> Released:
    patch = 14 if name == "vit_gigantic" else 16  # that factory's own default (section 3)
    size = Masked(name, 224, patch, 2, 16, 12, MODELS[name][2], 2)
    config = {
        "app": "vjepa",
        "data": {"num_frames": size.frames, "tubelet_size": 2, "crop_size": size.size, "patch_size": patch},
        "mask": [{"num_blocks": 8}, {"num_blocks": 2}],
        "model": {
            "model_name": name,
            "pred_depth": size.predictor_depth,
            "pred_embed_dim": size.predictor_width,
            "uniform_power": True,
            "use_mask_tokens": True,
        },
    }
    return _masked(
        "V-JEPA",
        "jepa-latest.pth.tar",
        size,
        "module.backbone.",
        config=config,
        beside="params-pretrain.yaml",
    )


def _trained_vjepa2(size_name: str, name: str) -> Released:
    size = Masked(size_name, 256, 16, 2, 16, 12, 12, 2)
    model = {
        "model_name": name,
        "pred_depth": size.predictor_depth,
        "pred_embed_dim": size.predictor_width,
        "pred_num_heads": size.predictor_heads,
        "uniform_power": True,
        **({} if name.endswith("_rope") else {"use_rope": True}),
    }
    config = {
        "app": "vjepa",
        "data": {
            "dataset_fpcs": [size.frames],
            "tubelet_size": 2,
            "crop_size": size.size,
            "patch_size": size.patch,
        },
        "mask": [{"num_blocks": 8}, {"num_blocks": 2}],
        "model": model,
    }
    return _masked(
        "V-JEPA 2", "latest.pt", size, "module.backbone.", config=config, beside="params-pretrain.yaml"
    )


TABLE: Mapping[str, Released] = {
    **_official(),
    "vjepa2-ac-vitg": _action_conditioned(),
    **{
        f"vjepa21-{file.split('_')[2]}-384": _leveled(size, file)
        for file, size in vjepa21_facts.FILES.items()
    },
    "lewm-pusht": _lewm(10),
    "lewm-cube": _lewm(25),
    **_cjepa(),
    **_hugging_face(),
    **_timm(),
    **_in_code(),
}
