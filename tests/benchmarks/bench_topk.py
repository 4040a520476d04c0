"""The teacher's top-k in two passes, against a plain logsumexp and topk over chunks of rows: python -m tests.benchmarks.bench_topk"""

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
import torch

from pipeline.teacher.topk import Candidates, Remap
from vocab.union import TeacherMap

POSITIONS, K, TIMES = 614, 8, 12  # the masked positions of 4,096 tokens
CHUNK_BYTES = 1 << 21  # of float32 logits: the cache of a core


def plain(logits_MV: torch.Tensor, gold_M: torch.Tensor, k: int) -> Candidates:
    """The baseline, for a vocabulary that is completely in the union."""
    step = max(1, CHUNK_BYTES // (4 * logits_MV.shape[1]))
    parts = []
    for start in range(0, len(logits_MV), step):
        work_MV = logits_MV[start : start + step].float()
        total_M1 = torch.logsumexp(work_MV, dim=1, keepdim=True)
        values_MS, rows_MS = work_MV.topk(k + 8, dim=1)
        gold_M1 = work_MV.gather(1, gold_M[start : start + step, None])
        nothing_M = torch.zeros(len(work_MV))
        parts.append(Candidates((gold_M1 - total_M1)[:, 0], rows_MS, values_MS - total_M1, nothing_M, nothing_M))
    return Candidates(*(torch.cat(tensors) for tensors in zip(*parts, strict=True)))


def milliseconds(call: Callable[..., Any], *arguments: object) -> float:
    started = time.perf_counter()
    call(*arguments)
    return 1e3 * (time.perf_counter() - started)


def main() -> None:
    print(f"{'V':>8}{'logits':>10}{'plain, ms':>12}{'two passes, ms':>16}{'plain / two passes':>20}")
    for size in (119_547, 30_000):
        ids = np.arange(size, dtype=np.uint32)
        every = np.ones(size, dtype=np.bool_)
        ones = np.ones(size, dtype=np.int64)
        remap = Remap(
            TeacherMap(teacher="t", union_ids=ids, predictable=every, real=every, lengths=ones, spelled=ids), torch.device("cpu")
        )
        for dtype in (torch.float32, torch.bfloat16):
            torch.manual_seed(0)
            logits_MV = (2.5 * torch.randn(POSITIONS, size)).to(dtype)
            gold_M = torch.randint(size, (POSITIONS,))
            with torch.inference_mode():
                one, other = (
                    remap.finish([found], K).result()
                    for found in (plain(logits_MV, gold_M, K), remap.candidates(logits_MV, gold_M, K))
                )
                assert (one.ids_MK == other.ids_MK).all()
                times = [
                    (
                        milliseconds(plain, logits_MV, gold_M, K),
                        milliseconds(remap.candidates, logits_MV, gold_M, K),
                    )
                    for _ in range(TIMES)
                ]
            slow, fast = (median(column) for column in zip(*times, strict=True))
            print(f"{size:>8,}{str(dtype).removeprefix('torch.'):>10}{slow:>12.1f}{fast:>16.1f}{slow / fast:>20.2f}")


if __name__ == "__main__":
    main()
