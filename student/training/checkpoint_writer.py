"""Writes checkpoints while training goes on: a copy of the weights and the optimizer in host memory, and a thread.

For a student of 224 million parameters a checkpoint has 2.7 GB, and a GPU would wait for the disk in every one. On a CPU the copy costs as
much as the file, and steps are slow, so there the checkpoint is written at once.
"""

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any

import torch

from student.training.checkpoint import State, save_checkpoint


class CheckpointWriter:
    """Writes one checkpoint at a time, in the background if asked for. Use it with `with`: the end waits for what is being written."""

    def __init__(self, out: Path, *, background: bool) -> None:
        self._out = out
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="checkpoint") if background else None
        self._pending: Future[Path] | None = None

    def save(self, state: State, model: Any, optimizer: torch.optim.Optimizer) -> None:
        """Save a checkpoint. Raises InputError for a full disk, also for that of the checkpoint before."""
        self.wait()
        if self._pool is None:
            save_checkpoint(self._out, state, model, optimizer.state_dict())
            return
        copies: dict[int, torch.Tensor] = {}
        weights, moments = host_copy(model.state_dict(), copies), host_copy(optimizer.state_dict(), copies)
        self._pending = self._pool.submit(save_checkpoint, self._out, state, model, moments, weights)

    def wait(self) -> None:
        """Wait until the last checkpoint is complete. Raises what went wrong with it."""
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def __enter__(self) -> "CheckpointWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._pool is not None:
            self._pool.shutdown()
        if kind is None:
            self.wait()


def host_copy(content: Any, copies: dict[int, torch.Tensor]) -> Any:
    """The content with every tensor copied to host memory. Tensors that share memory, such as tied weights, share it in the copy."""
    if isinstance(content, torch.Tensor):
        key = content.data_ptr() or id(content)
        if key not in copies or copies[key].shape != content.shape:
            copies[key] = content.detach().to("cpu", copy=True)
        return copies[key]
    if isinstance(content, dict):
        return type(content)((key, host_copy(value, copies)) for key, value in content.items())
    if isinstance(content, list | tuple):
        return type(content)(host_copy(value, copies) for value in content)
    return content
