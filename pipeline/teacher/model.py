"""A teacher: a masked LM that labels masked examples. Its head runs only at masked positions.

Legend: B batch, T tokens, H hidden size, M masked positions, V rows of the head, K top-k.
"""

import threading
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from data.examples import Example
from pipeline.teacher.cpu_tuning import keep_freed_memory, pack_linears
from pipeline.teacher.topk import Candidates, Remap, TopK, no_labels, take_positions
from vocab.errors import InputError, first_line
from vocab.union import TeacherMap

# Layers of attention, followed by a feed-forward block for each position. After the last one comes the head.
_BERT_LAYERS = ("BertLayer", "RobertaLayer", "XLMRobertaLayer", "CamembertLayer", "ElectraLayer", "RoFormerLayer")


class TeacherModel:
    """A masked LM in memory, with its map into the union."""

    def __init__(self, folder: Path, name: str, teacher_map: TeacherMap, dtype: str):
        """Load from a local folder. Raises InputError for a checkpoint without a trained masked-LM head."""
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.dtype = choose_dtype(dtype, self.device)
        self.model = load_masked_lm(folder, name).to(self.device, self.dtype)
        if self.device.type == "cpu":
            keep_freed_memory()
            for weight in chain(self.model.parameters(), self.model.buffers()):
                weight.data = weight.data.clone()  # loaded weights are pages of the file, and would change with the file
            pack_linears(self.model, tokens=4096)
        self.remap = Remap(teacher_map, self.device)
        self._batch = threading.local()  # a runner may use one model in several threads of a process
        _last_mixing(self.model).register_forward_hook(self._gather)

    def _gather(self, _module: Any, _inputs: Any, output: Any) -> Any:
        """A hook after the last module that mixes positions: keep the hidden states only at masked positions, [B, T, H] → [1, M, H].

        At V = 119,547 the head at every position would cost more than the encoder. A hook works for every architecture.
        """
        if isinstance(output, tuple):
            return (output[0].flatten(0, 1)[self._batch.places_M].unsqueeze(0), *output[1:])
        output["last_hidden_state"] = output["last_hidden_state"].flatten(0, 1)[self._batch.places_M].unsqueeze(0)
        return output

    @torch.inference_mode()
    def label(self, examples: Sequence[Example], pad: int, k: int, tokens_per_batch: int) -> TopK:
        """The labels of all masked positions of the examples, in the order of the examples.

        Batches have examples of similar length under a token budget, padding included. So the result depends only on the examples, not
        on their order. Nothing waits for the device before the last batch was sent to it.
        """
        if not examples:
            return no_labels(0, k)
        starts = np.cumsum([0, *(len(example.mask_positions) for example in examples)])
        batches = length_batches([len(example.input_ids) for example in examples], tokens_per_batch)
        labels = self.remap.finish([self._label_batch([examples[index] for index in batch], pad, k) for batch in batches], k)
        places_M = np.concatenate([np.arange(starts[index], starts[index + 1]) for batch in batches for index in batch])
        return take_positions(labels, np.argsort(places_M))

    def _label_batch(self, examples: Sequence[Example], pad: int, k: int) -> Candidates:
        longest = max(len(example.input_ids) for example in examples)
        input_ids_BT = np.full((len(examples), longest), pad, dtype=np.int64)
        attention_BT = np.zeros((len(examples), longest), dtype=np.int64)
        for row, example in enumerate(examples):
            input_ids_BT[row, : len(example.input_ids)] = example.input_ids
            attention_BT[row, : len(example.input_ids)] = 1
        places_M = np.concatenate([row * longest + example.mask_positions.astype(np.int64) for row, example in enumerate(examples)])
        gold_M = np.concatenate([example.label_ids for example in examples]).astype(np.int64)
        self._batch.places_M = self._send(places_M)
        output = self.model(input_ids=self._send(input_ids_BT), attention_mask=self._send(attention_BT))
        return self.remap.candidates(output.logits[0], self._send(gold_M), k)

    def _send(self, array: NDArray[np.int64]) -> torch.Tensor:
        """Copy an array to the teacher's device. A copy to a GPU runs while this thread prepares the next array."""
        tensor = torch.from_numpy(array)
        return tensor.pin_memory().to(self.device, non_blocking=True) if self.device.type == "cuda" else tensor


def _last_mixing(model: Any) -> torch.nn.Module:
    """The last module that mixes positions: the attention of the last layer if its type is known, else the encoder.

    Everything after it works on each position separately, so the last feed-forward block runs only at masked positions too.
    """
    layers = [module for module in model.modules() if type(module).__name__ in _BERT_LAYERS]
    found: torch.nn.Module = layers[-1].attention if layers else model.base_model
    return found


def length_batches(lengths: Sequence[int], tokens_per_batch: int) -> list[NDArray[np.int64]]:
    """Indices in batches of similar length: batch size × longest length ≤ the budget. A longer example is a batch of its own."""
    order = np.argsort(np.asarray(lengths, dtype=np.int64), kind="stable")[::-1]
    batches, start = [], 0
    while start < len(order):
        size = max(1, tokens_per_batch // lengths[order[start]])
        batches.append(order[start : start + size])
        start += size
    return batches


def choose_dtype(dtype: str, device: torch.device) -> torch.dtype:
    """The recipe's dtype. "auto" is bfloat16 if the hardware multiplies it (CUDA from Ampere on, CPUs with AMX), else float32."""
    if dtype != "auto":
        return torch.float32 if dtype == "float32" else torch.bfloat16
    native = (
        torch.cuda.is_bf16_supported(including_emulation=False) if device.type == "cuda" else torch.cpu._is_amx_tile_supported()
    )
    return torch.bfloat16 if native else torch.float32


def load_masked_lm(folder: Path, name: str) -> Any:
    """Load the model in eval mode. Raises InputError if weights are missing, because they would be random."""
    from transformers import AutoModelForMaskedLM
    from transformers.utils import logging

    logging.disable_progress_bar()  # a bar for each model and worker would hide the bar that counts units
    try:
        model, loading = AutoModelForMaskedLM.from_pretrained(folder, output_loading_info=True, dtype=torch.float32)
    except Exception as error:  # for a damaged file, the reader of each format raises its own type of exception
        raise InputError(f"teacher '{name}': {folder} cannot be loaded: {first_line(error)}") from None
    missing = sorted(loading["missing_keys"])
    if missing:
        raise InputError(
            f"teacher '{name}': {folder} lacks {len(missing)} weights of a masked LM ({missing[0]}, …); expected a checkpoint whose "
            "masked-LM head was trained: save it with AutoModelForMaskedLM"
        )
    return model.eval()
