"""A teacher: a masked LM that labels masked examples, its head applied at masked positions only.

Legend: B batch, T tokens, H hidden size, M masked positions, V rows of the head, K top-k.
"""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from data.examples import Example
from pipeline.topk import Remap, TopK
from vocab.errors import InputError
from vocab.union import TeacherMap


class Teacher:
    """A masked LM in memory, and its map into the union."""

    def __init__(self, folder: Path, name: str, teacher_map: TeacherMap, dtype: str):
        """Load from a local folder. A checkpoint without a trained masked-LM head is an InputError."""
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.dtype = choose_dtype(dtype, self.device)
        self.model = load_masked_lm(folder, name).to(self.device, self.dtype)
        self.remap = Remap(teacher_map, self.device)
        self._batch = threading.local()  # runners may label on several threads of one process with one model
        self.model.base_model.register_forward_hook(self._gather)

    def _gather(self, _module: Any, _inputs: Any, output: Any) -> Any:
        """Between encoder and head: keep the hidden states at masked positions only, [B, T, H] → [1, M, H].

        At V = 119,547 the head at every position would cost more than the encoder. As a hook it holds for every architecture.
        """
        output["last_hidden_state"] = output["last_hidden_state"][self._batch.masked_BT].unsqueeze(0)
        return output

    @torch.inference_mode()
    def label(self, examples: Sequence[Example], pad: int, k: int, tokens_per_batch: int) -> TopK:
        """The labels of all masked positions of the examples, in the order of the examples.

        Batches are made of examples of like length under a token budget (padding included), so the result depends on the
        examples alone and not on how they came.
        """
        starts = np.cumsum([0, *(len(example.mask_positions) for example in examples)])
        gold_M = np.zeros(starts[-1], dtype=np.float16)
        ids_MK = np.zeros((starts[-1], k), dtype=np.uint32)
        logits_MK = np.zeros((starts[-1], k), dtype=np.float16)
        for batch in length_batches([len(example.input_ids) for example in examples], tokens_per_batch):
            labels = self._label_batch([examples[index] for index in batch], pad, k)
            places = np.concatenate([np.arange(starts[index], starts[index + 1]) for index in batch])
            gold_M[places], ids_MK[places], logits_MK[places] = labels.gold_logits_M, labels.ids_MK, labels.logits_MK
        return TopK(gold_logits_M=gold_M, ids_MK=ids_MK, logits_MK=logits_MK)

    def _label_batch(self, examples: Sequence[Example], pad: int, k: int) -> TopK:
        longest = max(len(example.input_ids) for example in examples)
        input_ids_BT = np.full((len(examples), longest), pad, dtype=np.int64)
        attention_BT = np.zeros((len(examples), longest), dtype=np.int64)
        masked_BT = np.zeros((len(examples), longest), dtype=np.bool_)
        for row, example in enumerate(examples):
            input_ids_BT[row, : len(example.input_ids)] = example.input_ids
            attention_BT[row, : len(example.input_ids)] = 1
            masked_BT[row, example.mask_positions] = True
        gold_M = torch.from_numpy(np.concatenate([example.label_ids for example in examples]).astype(np.int64)).to(self.device)
        self._batch.masked_BT = torch.from_numpy(masked_BT).to(self.device)
        output = self.model(
            input_ids=torch.from_numpy(input_ids_BT).to(self.device), attention_mask=torch.from_numpy(attention_BT).to(self.device)
        )
        return self.remap(output.logits[0].float(), gold_M, k)


def length_batches(lengths: Sequence[int], tokens_per_batch: int) -> list[NDArray[np.int64]]:
    """Indices in batches of like length; batch size × longest length ≤ the budget (a single longer one is a batch of its own)."""
    order = np.argsort(np.asarray(lengths, dtype=np.int64), kind="stable")[::-1]
    batches, start = [], 0
    while start < len(order):
        size = max(1, tokens_per_batch // lengths[order[start]])
        batches.append(order[start : start + size])
        start += size
    return batches


def choose_dtype(dtype: str, device: torch.device) -> torch.dtype:
    """The recipe's dtype; "auto" is bfloat16 where the hardware multiplies it (CUDA from Ampere on, CPUs with AMX), else float32."""
    if dtype != "auto":
        return torch.float32 if dtype == "float32" else torch.bfloat16
    native = (
        torch.cuda.is_bf16_supported(including_emulation=False) if device.type == "cuda" else torch.cpu._is_amx_tile_supported()
    )
    return torch.bfloat16 if native else torch.float32


def load_masked_lm(folder: Path, name: str) -> Any:
    """The model in eval mode. Weights that the checkpoint lacks would be random: that is an InputError."""
    from transformers import AutoModelForMaskedLM
    from transformers.utils import logging

    logging.disable_progress_bar()  # a bar a worker a model would drown the one that counts units
    try:
        model, loading = AutoModelForMaskedLM.from_pretrained(folder, output_loading_info=True, dtype=torch.float32)
    except Exception as error:  # a damaged file makes each format's reader raise an exception of its own
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(f"teacher '{name}': {folder} cannot be loaded: {reason}") from None
    missing = sorted(loading["missing_keys"])
    if missing:
        raise InputError(
            f"teacher '{name}': {folder} lacks {len(missing)} weights of a masked LM ({missing[0]}, …); expected a checkpoint whose "
            "masked-LM head was trained: save it with AutoModelForMaskedLM"
        )
    return model.eval()
