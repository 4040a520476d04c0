"""Small models of every masked-LM architecture of the installed transformers that can be built from a configuration."""

from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForMaskedLM
from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES

SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "embedding_size": 32,
    "initializer_range": 0.3,  # so that logits differ by nats, and a label that depends on more than its window shows
    "pad_token_id": 0,
    "bos_token_id": 2,
    "eos_token_id": 3,
    "cls_token_id": 2,
    "sep_token_id": 3,
    "mask_token_id": 4,
}
OTHER_NAMES = {"n_layers": 2, "n_heads": 4, "dim": 32, "hidden_dim": 48, "emb_dim": 32, "d_model": 32}
SEQ2SEQ = {
    f"{part}_{size}": value
    for part in ("encoder", "decoder")
    for size, value in (("layers", 2), ("ffn_dim", 48), ("attention_heads", 4))
}
PICTURES = {"modernvbert", "ultravbert"}  # models of text and pictures: not small without a small vision model
EXTRA: dict[str, dict[str, Any]] = {
    "funnel": {"block_sizes": [1, 1], "d_model": 32, "n_head": 4, "d_head": 8, "d_inner": 48, "initializer_std": 0.3},
    "modernbert": {"global_attn_every_n_layers": 2, "local_attention": 8},
    "longformer": {"attention_window": [8, 8]},
    "big_bird": {"attention_type": "block_sparse", "block_size": 2, "num_random_blocks": 1},
    "mobilebert": {"intra_bottleneck_size": 32, "true_hidden_size": 32, "embedding_size": 32},
    "reformer": {
        "is_decoder": False,
        "attention_head_size": 8,
        "axial_pos_shape": [8, 8],
        "axial_pos_embds_dim": [16, 16],
        "attn_layers": ["local", "lsh"],
        "feed_forward_size": 48,
    },
    "xmod": {"languages": ["en_XX"], "default_language": "en_XX"},
    "convbert": {"head_ratio": 2, "conv_kernel_size": 5},
    "squeezebert": {"q_groups": 2, "k_groups": 2, "v_groups": 2, "intermediate_groups": 2},
    **dict.fromkeys(("bart", "mbart", "mvp"), SEQ2SEQ),
    "perceiver": {"num_latents": 4, "d_latents": 32, "num_self_attends_per_block": 1, "num_cross_attention_heads": 4},
    "luke": {"entity_vocab_size": 10, "entity_emb_size": 8},
    "eurobert": {"num_key_value_heads": 2, "head_dim": 8},
}


def architectures() -> list[str]:
    """The model types of transformers that have a masked LM."""
    return sorted(set(MODEL_FOR_MASKED_LM_MAPPING_NAMES) - PICTURES)


def small_masked_lm(kind: str, vocab_size: int, positions: int) -> Any:
    """A model of this type with random weights of a large spread. Raises what transformers raises if it cannot be built."""
    default = AutoConfig.for_model(kind)
    names = {**SIZES, **OTHER_NAMES, "max_position_embeddings": positions + 8}
    known = {name: value for name, value in names.items() if hasattr(default, name)}
    if kind == "funnel":
        del known["num_hidden_layers"]  # its block_sizes say it
    config = AutoConfig.for_model(kind, **{**known, **EXTRA.get(kind, {}), "vocab_size": vocab_size})
    torch.manual_seed(0)
    return AutoModelForMaskedLM.from_config(config).eval()


def save_masked_lm(kind: str, folder: Path, vocab_size: int, positions: int) -> Any:
    """The same, saved with weights that a hub's checkpoint would have. Returns the model."""
    model = small_masked_lm(kind, vocab_size, positions)
    model.save_pretrained(folder)
    return model
