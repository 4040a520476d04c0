"""A teacher: a masked LM that labels masked examples. Its head runs only at masked positions.

Legend: B batch, T tokens, H hidden size, M masked positions, V rows of the head, K top-k.
"""

import re
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from data.examples import Example
from data.processor import bfloat16_unit
from data.window_check import Batches, ModuleState, WindowsDiffer, check_windows
from pipeline.teacher.checkpoint import load
from pipeline.teacher.cpu_tuning import cpu_threads, keep_freed_memory, pack_linears
from pipeline.teacher.cuda_tuning import TOKENS_PER_BATCH, claim_device, compile_layers, float32_logits
from pipeline.teacher.labels import Pending, TopK, no_labels
from pipeline.teacher.topk import Remap
from pipeline.teacher.windows import PaddedBatch, Windows, length_batches, padded_batches, ragged
from vocab.errors import InputError
from vocab.union import TeacherMap

# Layers of attention, followed by a feed-forward block for each position. After the last one comes the head.
_BERT_LAYERS = ("BertLayer", "RobertaLayer", "XLMRobertaLayer", "CamembertLayer", "ElectraLayer", "RoFormerLayer")
_OUT_OF_MEMORY = re.compile(r"can't allocate memory|ALLOC_FAILED|out of memory")


@dataclass(frozen=True, kw_only=True)
class CheckedWindows:
    """Windows that a teacher is checked with before it is used, see `data.window_check`."""

    windows: Sequence[NDArray[np.int64]]
    pad: int


class TeacherModel:
    """A masked LM in memory, with its map into the union."""

    def __init__(
        self,
        folder: Path,
        name: str,
        teacher_map: TeacherMap,
        dtype: str,
        *,
        compiled: bool = False,
        check: CheckedWindows | None = None,
    ):
        """Load from a local folder.

        Raises InputError for a checkpoint without a trained masked-LM head, and for a model whose labels of a window depend on more
        than the window. A model that needs batches of equal length gets them. `check` is None only where that is known.
        """
        self.name = name
        self.device, self.dtype = torch.device("cpu"), torch.float32
        self.model = load_masked_lm(folder, name)
        self._batch = threading.local()  # a runner may use one model in several threads of a process
        self.batches: Batches = self._check(check, len(teacher_map.union_ids)) if check else "similar"
        _last_mixing(self.model).register_forward_hook(self._gather)
        self.device = claim_device()
        self.dtype = choose_dtype(dtype, self.device)
        self.model.to(self.device, self.dtype)
        if self.device.type == "cpu":
            keep_freed_memory()
            for weight in chain(self.model.parameters(), self.model.buffers()):
                weight.data = weight.data.clone()  # loaded weights are pages of the file, and would change with the file
            pack_linears(self.model, tokens=4096)
        else:
            float32_logits(self.model)
        if compiled:
            compile_layers(self.model)
        self.remap = Remap(teacher_map, self.device)
        self.fitting: int | None = None  # tokens of a batch that the device's memory held, once it was too small for more
        # A model whose passes change it runs each batch from this state, and one batch at a time.
        self._fresh = (ModuleState(self.model), threading.Lock()) if self.batches == "equal" else None

    def _check(self, check: CheckedWindows, rows: int) -> Batches:
        """How windows can be put into batches, in float32 on the CPU, before anything is hooked, packed or compiled.

        rows: of the head, as the teacher's vocabulary has them
        """
        model = self.model

        def plain(input_ids_BT: NDArray[np.int64], attention_BT: NDArray[np.int64] | None, places_M: NDArray[np.int64]) -> Any:
            mask = None if attention_BT is None else torch.from_numpy(attention_BT)
            logits = model(input_ids=torch.from_numpy(input_ids_BT), attention_mask=mask).logits
            if logits.shape[-1] != rows:
                raise WindowsDiffer(f"its head gives {logits.shape[-1]:,} logits for a position, config.vocab_size is {rows:,}")
            return logits.flatten(0, 1)[torch.from_numpy(places_M)].numpy()

        def hooked(input_ids_BT: NDArray[np.int64], attention_BT: NDArray[np.int64] | None, places_M: NDArray[np.int64]) -> Any:
            hook = _last_mixing(model).register_forward_hook(self._gather)
            try:
                return self._forward(input_ids_BT, attention_BT, places_M).numpy()
            finally:
                hook.remove()

        kind = type(model).__name__
        with torch.inference_mode():
            try:
                verdict = check_windows(plain, hooked, check.windows, check.pad, model)
            except WindowsDiffer as error:
                raise InputError(
                    f"teacher '{self.name}' ({kind}): {error}; expected the logits of AutoModelForMaskedLM's plain forward pass for "
                    "each window, whatever is computed beside it: use another teacher, or another examples.max_length"
                ) from None
        if verdict.batches == "equal":
            print(f"teacher '{self.name}' ({kind}): {verdict.reason}: its batches have windows of one length", file=sys.stderr)
        return verdict.batches

    def _gather(self, _module: Any, _inputs: Any, output: Any) -> Any:
        """A hook after the last module that mixes positions: keep the hidden states only at masked positions, [B, T, H] → [1, M, H].

        At V = 119,547 the head at every position would cost more than the encoder. A hook works for every architecture.
        """
        if isinstance(output, tuple):
            return (output[0].flatten(0, 1)[self._batch.places_M].unsqueeze(0), *output[1:])
        output["last_hidden_state"] = output["last_hidden_state"].flatten(0, 1)[self._batch.places_M].unsqueeze(0)
        return output

    def label(self, examples: Sequence[Example], pad: int, k: int, tokens_per_batch: int | Literal["auto"]) -> TopK:
        """The labels of all masked positions of the examples, in the order of the examples."""
        return self.begin(Windows.of(examples), pad, k, tokens_per_batch).result() if examples else no_labels(0, k)

    @torch.inference_mode()
    def begin(self, windows: Windows, pad: int, k: int, tokens_per_batch: int | Literal["auto"]) -> Pending:
        """Start to label windows. On a GPU this returns before the labels are computed.

        Batches have windows of similar length under a token budget, padding included. So the result depends only on the windows, not on
        their order. Nothing waits for the device before the last batch was sent to it, except for the mask of a padded batch. If the
        device's memory is too small for a batch, all are made again with half its tokens, and later ones too.
        """
        budget = min(batch_budget(tokens_per_batch, self.device.type), self.fitting or sys.maxsize)
        batches = length_batches(windows.lengths_W, budget, equal=self.batches == "equal")
        order = np.concatenate(batches)
        try:
            parts, drawn = [], []
            for batch in padded_batches(windows.take(order), [len(batch) for batch in batches], pad):
                with cpu_threads(self.device).step(batch.input_ids_BT.size):
                    logits_MV = self._logits(batch)
                    if batch.points_MD is None:
                        parts.append(self.remap.candidates(logits_MV, self._send(batch.gold_M), k))
                    else:  # the best candidate is not used, but the sums that come with it are
                        parts.append(self.remap.candidates(logits_MV, self._send(batch.gold_M), 1))
                        drawn.append(self.remap.draw(logits_MV, (self._send(batch.points_MD.astype(np.float64)) + 0.5) / 2.0**32))
            places_M = ragged(windows.masked_W, order)
            return self.remap.finish(parts, k, np.argsort(places_M), drawn)
        except Exception as error:
            if not is_out_of_memory(error) or max(len(batch) for batch in batches) == 1:
                raise
        # Here the failed batch's tensors are free: the exception held them.
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        self.fitting = max(int(windows.lengths_W[batch[0]]) * len(batch) for batch in batches if len(batch) > 1) // 2
        print(
            f"teacher '{self.name}': {self.device} has too little memory for batches of {budget:,} tokens: going on with "
            f"{self.fitting:,}. Set predict.tokens_per_batch = {self.fitting}",
            file=sys.stderr,
        )
        return self.begin(windows, pad, k, tokens_per_batch)

    def _logits(self, batch: PaddedBatch) -> torch.Tensor:
        """The logits at the masked positions of a batch."""
        attention_BT = batch.attention_BT
        if attention_BT is None and self.device.type == "cpu":
            attention_BT = np.ones_like(
                batch.input_ids_BT
            )  # on a GPU, no mask takes a faster attention, and the host does not wait
        if self._fresh is None:
            return self._forward(batch.input_ids_BT, attention_BT, batch.places_M)
        state, lock = self._fresh
        with lock:
            state.restore()
            return self._forward(batch.input_ids_BT, attention_BT, batch.places_M)

    def _forward(
        self, input_ids_BT: NDArray[np.int64], attention_BT: NDArray[np.int64] | None, places_M: NDArray[np.int64]
    ) -> torch.Tensor:
        """The logits [M, V] at places b·T + t, by the hooked model."""
        self._batch.places_M = self._send(places_M)
        mask = None if attention_BT is None else self._send(attention_BT)
        return self.model(input_ids=self._send(input_ids_BT), attention_mask=mask).logits[0]  # type: ignore[no-any-return]

    def _send(self, array: NDArray[Any]) -> torch.Tensor:
        """Copy an array to the teacher's device. A copy to a GPU runs while this thread prepares the next array."""
        tensor = torch.from_numpy(array)
        return tensor.pin_memory().to(self.device, non_blocking=True) if self.device.type == "cuda" else tensor


def batch_budget(setting: int | Literal["auto"], device: str) -> int:
    """The tokens of a batch for predict.tokens_per_batch, on a type of device."""
    return TOKENS_PER_BATCH[device] if setting == "auto" else setting


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out. On a CPU, torch has no exception type for that."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or _OUT_OF_MEMORY.search(str(error)) is not None


def _last_mixing(model: Any) -> torch.nn.Module:
    """The last module that mixes positions: the attention of the last layer if its type is known, else the encoder.

    Everything after it works on each position separately, so the last feed-forward block runs only at masked positions too.
    """
    layers = [module for module in model.modules() if type(module).__name__ in _BERT_LAYERS]
    found: torch.nn.Module = layers[-1].attention if layers else model.base_model
    return found


def choose_dtype(dtype: str, device: torch.device) -> torch.dtype:
    """The recipe's dtype. "auto" is bfloat16 if the hardware multiplies it (see `fast_dtype`), else float32."""
    if dtype != "auto":
        return torch.float32 if dtype == "float32" else torch.bfloat16
    return fast_dtype(device)[0]


def fast_dtype(device: torch.device) -> tuple[torch.dtype, str]:
    """(bfloat16 if the hardware multiplies it, else float32; why). GPUs do from Ampere on, CPUs with AMX or AVX-512 BF16."""
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        unit = bfloat16_unit() if torch.backends.mkldnn.is_available() else ""
        name, native = f"the processor (with {unit})" if unit else "the processor", bool(unit)
    if native:
        return torch.bfloat16, f"{name} multiplies bfloat16"
    return torch.float32, f"{name} has no instructions for bfloat16"


def load_masked_lm(folder: Path, name: str) -> Any:
    """Load the model in eval mode, in float32. Raises InputError if weights are missing, or if the head has two different biases."""
    model = load(folder, name, dtype=torch.float32)
    pairs, parameters = getattr(model, "_tied_weights_keys", None), dict(model.named_parameters(remove_duplicate=False))
    for one, other in pairs.items() if isinstance(pairs, dict) else ():
        biases = [parameters[place] for place in (one, other) if place.endswith(".bias") and place in parameters]
        if len(biases) == 2 and not torch.equal(*biases):
            raise InputError(
                f"teacher '{name}': {folder} holds two different biases of its head, {one} and {other}; expected one, or two equal ones: "
                "remove the one that was not trained"
            )
    return model.eval()
