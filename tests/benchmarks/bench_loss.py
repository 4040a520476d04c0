"""The student's loss against dense cross-entropy and the naive sparse form: time and peak memory, each in a process of its own.

Floor: the weight gradient [V, H] in float32 must exist, whatever computes it; three matrix products of 2·M·H·V FLOPs each.
"""

import resource
import subprocess
import sys
import time

import torch
from torch.nn import functional

from student.training.loss import masked_loss

MASKED, HIDDEN, VOCABULARY, K = 1024, 768, 300_000, 8


def measure(name: str) -> tuple[float, float]:
    """(seconds of a forward and backward pass, peak megabytes above the start) of one way."""
    torch.manual_seed(0)
    hidden_MH = torch.randn(MASKED, HIDDEN, requires_grad=True)
    weight_VH = torch.randn(VOCABULARY, HIDDEN).div_(16).requires_grad_()
    bias_V = torch.zeros(VOCABULARY, requires_grad=True)
    gold_M, ids_MK = torch.randint(VOCABULARY, (MASKED,)), torch.randint(VOCABULARY, (MASKED, K))
    logits_MK = torch.log_softmax(torch.randn(MASKED, K), dim=1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    if name == "dense":
        logits_MV = functional.linear(hidden_MH, weight_VH, bias_V)
        target_MV = torch.zeros(MASKED, VOCABULARY).scatter_add_(1, ids_MK, 0.5 * logits_MK.exp())
        target_MV.scatter_add_(1, gold_M[:, None], torch.full((MASKED, 1), 0.5))
        functional.cross_entropy(logits_MV, target_MV, reduction="sum").backward()
    elif name == "sparse":  # the same target by autograd: the logits and their softmax stay in memory
        logits_MV = functional.linear(hidden_MH, weight_VH, bias_V)
        lse_M = logits_MV.logsumexp(1)
        teacher_M = (logits_MK.exp() * (lse_M[:, None] - logits_MV.gather(1, ids_MK))).sum(1)
        (0.5 * (lse_M - logits_MV.gather(1, gold_M[:, None])[:, 0]) + 0.5 * teacher_M).sum().backward()
    else:
        masked_loss(
            hidden_MH, weight_VH, bias_V, gold_M, ids_MK, logits_MK, gold_weight=0.5, tail="renormalise", scale=1.0
        ).total.backward()
    seconds = time.perf_counter() - started
    return seconds, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def main() -> None:
    if len(sys.argv) > 1:
        print(*measure(sys.argv[1]))
        return
    gradient = VOCABULARY * HIDDEN * 4 / 2**20
    print(f"M = {MASKED}, H = {HIDDEN}, V = {VOCABULARY:,}; the weight gradient alone is {gradient:.0f} MB")
    print(f"{'':20}{'seconds':>10}{'ratio':>8}{'peak MB':>10}{'ratio':>8}")
    rows = {}
    for name in ("dense", "sparse", "ours"):
        shown = subprocess.run(
            [sys.executable, "-m", "tests.benchmarks.bench_loss", name], capture_output=True, text=True, check=True
        ).stdout.split()
        rows[name] = float(shown[0]), float(shown[1])
        seconds, peak = rows[name]
        label = {"dense": "dense (baseline)", "sparse": "naive sparse"}.get(name, name)
        print(f"{label:20}{seconds:>10.2f}{rows['dense'][0] / seconds:>8.2f}{peak:>10,.0f}{peak / rows['dense'][1]:>8.2f}")


if __name__ == "__main__":
    main()
