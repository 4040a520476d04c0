"""The model FLOPs of a masked LM, by formula from its configuration. A multiplication and an addition count as two.

Encoder, per token: layers · (8 H² + 4 H I + 4 T H), for the projections of attention, the feed-forward block and the attention over T
tokens. Head, per masked position: 2 H E + 2 E V. Small terms are not counted (softmax, norms, activations, biases), nor is what only
some architectures have: the projection of factored embeddings, relative positions, the third matrix of a gated feed-forward block.
Legend: W windows, T tokens of a window, H hidden size, I intermediate size, E embedding size (H unless factored), V rows of the head.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def encoder_flops(config: Any, tokens_W: NDArray[np.int64]) -> NDArray[np.float64]:
    """FLOPs [W] of the encoder over windows of these numbers of tokens. `config` is a transformers configuration."""
    hidden = config.hidden_size
    inner = next((size for name in ("intermediate_size", "hidden_dim") if (size := getattr(config, name, None))), 4 * hidden)
    a_token = config.num_hidden_layers * (8 * hidden**2 + 4 * hidden * inner + 4.0 * tokens_W * hidden)
    return np.asarray(tokens_W * a_token, dtype=np.float64)


def head_flops(config: Any) -> float:
    """FLOPs of the masked-LM head at one position."""
    embedding = getattr(config, "embedding_size", None) or config.hidden_size
    return float(2 * config.hidden_size * embedding + 2 * embedding * config.vocab_size)
