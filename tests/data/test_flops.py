"""The FLOPs formula against torch's own count."""

from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import AlbertConfig, AutoConfig, AutoModelForMaskedLM, BertConfig, DistilBertConfig, ElectraConfig, RoFormerConfig

from data.flops import encoder_flops, head_flops

SIZES: dict[str, Any] = {"num_hidden_layers": 3, "hidden_size": 64, "num_attention_heads": 4, "vocab_size": 200}


@pytest.mark.parametrize(
    "config",
    [
        BertConfig(**SIZES, intermediate_size=160),
        RoFormerConfig(**SIZES, intermediate_size=256),
        AlbertConfig(**SIZES, intermediate_size=256, embedding_size=32),  # layers that share their weights count each time
        ElectraConfig(**SIZES, intermediate_size=256, embedding_size=64),
        DistilBertConfig(n_layers=3, dim=64, n_heads=4, hidden_dim=160, vocab_size=200),
    ],
    ids=lambda config: config.model_type,
)
def test_the_formula_counts_what_torch_counts(config: AutoConfig) -> None:
    """Two windows of 40 tokens, the head at every position."""
    model = AutoModelForMaskedLM.from_config(config, attn_implementation="eager").eval()
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        model(input_ids=torch.ones((2, 40), dtype=torch.int64))
    embedding = getattr(config, "embedding_size", None) or config.hidden_size  # type: ignore[attr-defined]
    projection = 80 * 2 * embedding * config.hidden_size if embedding != config.hidden_size else 0  # type: ignore[attr-defined]  # which the formula leaves out
    counted = counter.get_total_flops() - projection
    assert encoder_flops(config, np.array([40, 40])).sum() + 80 * head_flops(config) == pytest.approx(counted, rel=1e-6)
