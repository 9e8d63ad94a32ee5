"""Names and shapes of the tensors in released files, as the specs list them. Numbers and text only.

This describes files, not models: nothing here is built from the modules, so a module and a released file can be held
against each other. Sections: `specs/ijepa-vjepa-vjepa2.md` 1 and 9, `specs/vjepa2-ac-vjepa2.1.md` A3 and B1,
`specs/lewm-cjepa.md` 1.3, 2.2 and 2.3. D width, M hidden width of an MLP, L blocks.
"""

from __future__ import annotations

from collections.abc import Iterator

Shape = tuple[int, ...]
Shapes = dict[str, Shape]

PREDICTOR_RATIO = 4  # MLP width over width in every masked and every action predictor


def encoder(D: int, L: int, M: int, patch: int, tubelet: int, table_rows: int = 0) -> Shapes:
    """I-JEPA (tubelet 0), V-JEPA and V-JEPA 2; a position table where it has rows."""
    out: Shapes = {"pos_embed": (1, table_rows, D)} if table_rows else {}
    out |= _layer("patch_embed.proj", _kernel(D, patch, tubelet))
    for i in range(L):
        out |= _block(f"blocks.{i}", D, M)
    return out | _norm("norm", D)


def predictor(D: int, P: int, L: int, mask_tokens: int, table_rows: int = 0) -> Shapes:
    """The masked predictor of the same three; no `mask_tokens` means I-JEPA's single `mask_token`."""
    out: Shapes = {f"mask_tokens.{i}": (1, 1, P) for i in range(mask_tokens)} or {"mask_token": (1, 1, P)}
    out |= {"predictor_pos_embed": (1, table_rows, P)} if table_rows else {}
    out |= _layer("predictor_embed", (P, D)) | _predictor_blocks(P, L)
    return out | _norm("predictor_norm", P) | _layer("predictor_proj", (D, P))


def action_predictor(D: int, P: int, L: int, action: int) -> Shapes:
    """V-JEPA 2-AC (A3). The camera's layer is there whether it is used or not."""
    out = _layer("predictor_embed", (P, D))
    out |= _layer("action_encoder", (P, action)) | _layer("state_encoder", (P, action))
    out |= _layer("extrinsics_encoder", (P, action - 1)) | _predictor_blocks(P, L)
    return out | _norm("predictor_norm", P) | _layer("predictor_proj", (D, P))


def leveled_encoder(D: int, L: int, M: int, patch: int = 16, tubelet: int = 2) -> Shapes:
    """V-JEPA 2.1 (B1): two tokenizers, two modality marks, four norms and no `norm`."""
    out: Shapes = {"img_mod_embed": (1, 1, D), "video_mod_embed": (1, 1, D)}
    out |= _layer("patch_embed.proj", _kernel(D, patch, tubelet))
    out |= _layer("patch_embed_img.proj", _kernel(D, patch, 1))
    for i in range(L):
        out |= _block(f"blocks.{i}", D, M)
    for level in range(4):
        out |= _norm(f"norms_block.{level}", D)
    return out


def leveled_predictor(D: int, P: int, L: int, mask_tokens: int, levels: int, out_width: int) -> Shapes:
    """V-JEPA 2.1 (B1): of four levels, or of a teacher's last one."""
    out: Shapes = {"video_mod_embed": (1, 1, P), "img_mod_embed": (1, 1, P)}
    out |= {f"mask_tokens.{i}": (1, 1, P) for i in range(mask_tokens)}
    if levels > 1:
        out |= _layer("predictor_embed.0", (D, levels * D)) | _layer("predictor_embed.2", (P, D))
    else:
        out |= _layer("predictor_embed", (P, D))
    out |= _predictor_blocks(P, L) | _norm("predictor_norm", P)
    for head in ("predictor_proj", "predictor_proj_context"):
        out |= _layer(head, (levels * out_width, P))
    return out


def hugging_face_vjepa2(D: int, L: int, M: int, P: int, L_predictor: int, mask_tokens: int) -> Shapes:
    """VJEPA2Model (9.1): query, key and value apart, mask tokens stacked."""
    out = _layer("encoder.embeddings.patch_embeddings.proj", _kernel(D, 16, 2)) | _norm(
        "encoder.layernorm", D
    )
    out |= {"predictor.embeddings.mask_tokens": (mask_tokens, 1, 1, P)}
    out |= _layer("predictor.embeddings.predictor_embeddings", (P, D)) | _norm("predictor.layernorm", P)
    out |= _layer("predictor.proj", (D, P))
    for part, width, depth, hidden in (
        ("encoder", D, L, M),
        ("predictor", P, L_predictor, PREDICTOR_RATIO * P),
    ):
        for i in range(depth):
            block = f"{part}.layer.{i}"
            for third in ("query", "key", "value", "proj"):
                out |= _layer(f"{block}.attention.{third}", (width, width))
            out |= _norm(f"{block}.norm1", width) | _norm(f"{block}.norm2", width)
            out |= _layer(f"{block}.mlp.fc1", (hidden, width)) | _layer(f"{block}.mlp.fc2", (width, hidden))
    return out


def hugging_face_ijepa(D: int, L: int, M: int, patch: int, table_rows: int) -> Shapes:
    """IJepaModel (9.2): an encoder alone."""
    out: Shapes = {"embeddings.position_embeddings": (1, table_rows, D)}
    out |= _layer("embeddings.patch_embeddings.projection", _kernel(D, patch, 0)) | _norm("layernorm", D)
    for i in range(L):
        out |= _vit_layer(f"encoder.layer.{i}", D, M)
    return out


def lewm(action: int, D: int = 192, heads_by_width: int = 1024, M: int = 2048) -> Shapes:
    """LeWorldModel (1.3), the released size, in the names of transformers 4."""
    out: Shapes = {
        "encoder.embeddings.cls_token": (1, 1, D),
        "encoder.embeddings.position_embeddings": (1, 257, D),
        "predictor.pos_embedding": (1, 3, D),
    }
    out |= _layer("encoder.embeddings.patch_embeddings.projection", _kernel(D, 14, 0))
    out |= _norm("encoder.layernorm", D) | _norm("predictor.transformer.norm", D)
    for i in range(12):
        out |= _vit_layer(f"encoder.encoder.layer.{i}", D, 4 * D)
    for i in range(6):
        layer = f"predictor.transformer.layers.{i}"
        out |= _norm(f"{layer}.attn.norm", D) | _layer(f"{layer}.attn.to_out.0", (D, heads_by_width))
        out |= {f"{layer}.attn.to_qkv.weight": (3 * heads_by_width, D)}
        out |= _norm(f"{layer}.mlp.net.0", D) | _layer(f"{layer}.mlp.net.1", (M, D))
        out |= _layer(f"{layer}.mlp.net.4", (D, M)) | _layer(f"{layer}.adaLN_modulation.1", (6 * D, D))
    out |= _layer("action_encoder.patch_embed", (10, action, 1)) | _layer(
        "action_encoder.embed.0", (4 * D, 10)
    )
    out |= _layer("action_encoder.embed.2", (D, 4 * D))
    for projector in ("projector", "pred_proj"):
        out |= _layer(f"{projector}.net.0", (M, D)) | _layer(f"{projector}.net.3", (D, M))
        for name in ("weight", "bias", "running_mean", "running_var"):
            out[f"{projector}.net.1.{name}"] = (M,)
        out[f"{projector}.net.1.num_batches_tracked"] = ()
    return out


def slot_predictor(rows: int, D: int = 128, L: int = 6, M: int = 2048) -> Shapes:
    """C-JEPA's predictor (2.2); rows of its time table = history + frames ahead."""
    out: Shapes = {"mask_token": (1, 1, D), "time_pos_embed": (1, rows, 1, D)}
    out |= _layer("id_projector", (D, D)) | _layer("to_out", (D, D)) | _norm("transformer.norm", D)
    for i in range(L):
        layer = f"transformer.layers.{i}"
        out |= {f"{layer}.0.in_proj_weight": (3 * D, D), f"{layer}.0.in_proj_bias": (3 * D,)}
        out |= _layer(f"{layer}.0.out_proj", (D, D)) | _norm(f"{layer}.1.0", D)
        out |= _layer(f"{layer}.1.1", (M, D)) | _layer(f"{layer}.1.4", (D, M))
    return out


def slot_encoder(slots: str, D: int = 128, F: int = 384, L: int = 12) -> Shapes:
    """VideoSAUR without its decoder (2.3). `slots`: the name its slot attention has in that file."""
    backbone = "encoder.module.backbone"
    out: Shapes = {
        "initializer.mean": (1, 1, D),
        "initializer.log_std": (1, 1, D),
        f"{backbone}.embeddings.cls_token": (1, 1, F),
        f"{backbone}.embeddings.mask_token": (1, F),
        f"{backbone}.embeddings.position_embeddings": (1, 1 + 37 * 37, F),
    }
    out |= _layer(f"{backbone}.embeddings.patch_embeddings.projection", _kernel(F, 14, 0))
    out |= _norm(f"{backbone}.layernorm", F)
    for i in range(L):
        layer = f"{backbone}.encoder.layer.{i}"
        out |= _norm(f"{layer}.norm1", F) | _norm(f"{layer}.norm2", F)
        for third in ("query", "key", "value"):
            out |= _layer(f"{layer}.attention.attention.{third}", (F, F))
        out |= _layer(f"{layer}.attention.output.dense", (F, F))
        out |= _layer(f"{layer}.mlp.fc1", (4 * F, F)) | _layer(f"{layer}.mlp.fc2", (F, 4 * F))
        out |= {f"{layer}.layer_scale{n}.lambda1": (F,) for n in (1, 2)}
    features = "encoder.module.output_transform.layers"
    out |= (
        _norm(f"{features}.0", F) | _layer(f"{features}.1", (2 * F, F)) | _layer(f"{features}.3", (D, 2 * F))
    )
    for name in ("to_k", "to_v", "to_q"):
        out[f"{slots}.corrector.{name}.weight"] = (D, D)
    for kind in ("ih", "hh"):
        out |= {
            f"{slots}.corrector.gru.weight_{kind}": (3 * D, D),
            f"{slots}.corrector.gru.bias_{kind}": (3 * D,),
        }
    out |= _norm(f"{slots}.corrector.norm_features", D) | _norm(f"{slots}.corrector.norm_slots", D)
    return out | _steep_block(f"{slots}.predictor.blocks.0", D)


def slot_decoder(D: int = 128, patches: int = 196, F: int = 384, rendered: int = 1024) -> Shapes:
    """VideoSAUR's SlotMixer (2.3, item 6): features and a similarity to every patch."""
    root = "decoder.module"
    out: Shapes = {f"{root}.pos_emb": (1, patches, D)}
    for name in ("to_q", "to_k"):
        out[f"{root}.{name}.weight"] = (D, D)
    for name in ("norm_k", "norm_q", "norm_memory"):
        out |= _norm(f"{root}.{name}", D)
    for i in range(3):
        out |= _steep_block(f"{root}.allocator.blocks.{i}", D)
        out |= _layer(f"{root}.renderer.layers.{2 * i}", (rendered, rendered if i else D))
    return out | _layer(f"{root}.output_transform", (F + patches, rendered))


def pointwise(name: str, numbers: int, D: int = 128) -> Shapes:
    """C-JEPA's action or proprio encoder (2.4)."""
    return _layer(f"{name}.patch_embed", (D, numbers, 1))


# --- pieces ------------------------------------------------------------------------------------------------------


def _kernel(D: int, patch: int, tubelet: int) -> Shape:
    return (D, 3, tubelet, patch, patch) if tubelet else (D, 3, patch, patch)


def _layer(name: str, weight: Shape) -> Shapes:
    return {f"{name}.weight": weight, f"{name}.bias": weight[:1]}


def _norm(name: str, D: int) -> Shapes:
    return _layer(name, (D,))


def _block(name: str, D: int, M: int) -> Shapes:
    out = _norm(f"{name}.norm1", D) | _norm(f"{name}.norm2", D)
    out |= _layer(f"{name}.attn.qkv", (3 * D, D)) | _layer(f"{name}.attn.proj", (D, D))
    return out | _layer(f"{name}.mlp.fc1", (M, D)) | _layer(f"{name}.mlp.fc2", (D, M))


def _predictor_blocks(P: int, L: int) -> Shapes:
    return {name: shape for i in range(L) for name, shape in _predictor_block(i, P)}


def _predictor_block(i: int, P: int) -> Iterator[tuple[str, Shape]]:
    yield from _block(f"predictor_blocks.{i}", P, PREDICTOR_RATIO * P).items()


def _vit_layer(name: str, D: int, M: int) -> Shapes:
    """One layer of a transformers-4 ViT."""
    out = _norm(f"{name}.layernorm_before", D) | _norm(f"{name}.layernorm_after", D)
    for third in ("query", "key", "value"):
        out |= _layer(f"{name}.attention.attention.{third}", (D, D))
    out |= _layer(f"{name}.attention.output.dense", (D, D))
    return out | _layer(f"{name}.intermediate.dense", (M, D)) | _layer(f"{name}.output.dense", (D, M))


def _steep_block(name: str, D: int) -> Shapes:
    out = _layer(f"{name}.self_attn.qkv", (3 * D, D)) | _layer(f"{name}.self_attn.out_proj", (D, D))
    out |= _layer(f"{name}.linear1", (4 * D, D)) | _layer(f"{name}.linear2", (D, 4 * D))
    return out | _norm(f"{name}.norm1", D) | _norm(f"{name}.norm2", D)
