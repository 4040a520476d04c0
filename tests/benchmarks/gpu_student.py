"""The student on one GPU: the loss alone, and a whole step."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from data.flops import encoder_flops, head_flops
from data.recipe import Student, Train
from student.hardware import compile_layers, open_accelerator
from student.model import count_parameters, new_student
from student.training.batch import Batch
from student.training.loop import make_optimizer
from student.training.loss import masked_loss
from student.training.masked_head import MaskedLM
from student.training.memory import training_bytes
from student.training.step import GradientStep
from student.training.stream import Position, Step
from tests.benchmarks.gpu_measure import (
    CUDA,
    DEVICE,
    HEADS,
    HIDDEN,
    LAYERS,
    PEAK,
    STUDENT_VS,
    TEACHER_V,
    TINY,
    K,
    Row,
    gigabytes,
    host_waits,
    timed,
)
from vocab.roles import UNION_ROLES


def loss(_: Path) -> Iterator[Row]:
    for size in (TEACHER_V, STUDENT_VS[-1]):
        masked = 64 if TINY else 2432
        hidden = torch.randn(masked, HIDDEN, device=DEVICE, requires_grad=True)
        weight = (torch.randn(size, HIDDEN, device=DEVICE) / HIDDEN**0.5).requires_grad_()
        bias, gold = torch.zeros(size, device=DEVICE, requires_grad=True), torch.randint(size, (masked,), device=DEVICE)
        ids = torch.rand(masked, 64, device=DEVICE).argsort(1)[:, :K] * (size // 64)
        taught = torch.log_softmax(torch.randn(masked, K, device=DEVICE), 1).half()
        learned = (hidden, weight, bias)

        def back(total: torch.Tensor, learned: tuple[torch.Tensor, ...] = learned) -> None:
            for part in learned:
                part.grad = None
            total.backward()

        def ours(kernel: bool, tail: Any, arguments: Any = (*learned, gold, ids, taught), masked: int = masked) -> None:
            with torch.autocast(DEVICE.type, dtype=torch.bfloat16):
                back(masked_loss(*arguments, gold_weight=0.5, tail=tail, scale=1 / masked, kernel=kernel).total)

        def dense(arguments: Any = (*learned, gold, ids, taught), masked: int = masked) -> None:
            h, w, b, gold, ids, taught = arguments
            with torch.autocast(DEVICE.type, dtype=torch.bfloat16):
                z = functional.linear(h, w, b).float()
            t = taught.float().exp()
            right = 0.5 * z.gather(1, gold[:, None])[:, 0] + 0.5 * (z.gather(1, ids) * t / t.sum(1, keepdim=True)).sum(1)
            back((z.logsumexp(1) - right).sum() / masked)

        works: dict[str, Callable[[], object]] = {
            "dense, the same target (baseline)": dense,
            **(
                {f"ours by the kernel, {tail}": partial(ours, True, tail) for tail in ("renormalise", "ghost", "gold")}
                if CUDA
                else {}
            ),
            "ours by torch's operators": partial(ours, False, "renormalise"),
        }
        try:
            from liger_kernel.ops import fused_linear_cross_entropy as liger

            h, w = hidden.detach().bfloat16().requires_grad_(), weight.detach().bfloat16().requires_grad_()
            works["Liger's fused, gold labels"] = partial(liger_loss, liger, h, w, gold)
        except ImportError:
            pass
        floor = 6 * masked * HIDDEN * size / PEAK["bfloat16"]
        for name, work in works.items():
            seconds = timed(work)
            yield {
                "what": f"loss, V = {size:,}, M = {masked:,}: {name}",
                "ms": round(1e3 * seconds, 2),
                "of floor": round(seconds / floor, 1),
                "GB": gigabytes(work),
            }


def liger_loss(liger: Any, hidden: torch.Tensor, weight: torch.Tensor, gold: torch.Tensor) -> None:
    liger.LigerFusedLinearCrossEntropyFunction.apply(hidden, weight, gold)[0].backward()


def step(_: Path) -> Iterator[Row]:
    accelerator, settings = open_accelerator(), Train(steps=100, warmup_steps=5, precision="bfloat16")
    for size in STUDENT_VS:
        shape = Student(layers=LAYERS, hidden_size=HIDDEN, heads=HEADS)
        model = new_student(shape, vocab_size=size, max_length=128, roles=UNION_ROLES, seed=0).to(accelerator.device).train()
        optimizer = make_optimizer(model, settings)
        for compiled in (False, True):
            if compiled and CUDA:
                compile_layers(model)
            gradients = GradientStep(accelerator, MaskedLM(model, "renormalise"), settings)
            for rows, pieces in ((4, 4), (16, 1)) if TINY else ((128, 4), (512, 1)):
                part = Step(batches=tuple(made_batch(rows, size) for _ in range(pieces)), before=Position(), after=Position())

                def one(part: Step = part, gradients: GradientStep = gradients, optimizer: Any = optimizer) -> None:
                    gradients(part, 0.5, 0, 1)
                    optimizer.step()
                    optimizer.zero_grad()

                seconds = timed(one, 4)
                tokens, masked = 128 * rows * pieces, 19 * rows * pieces
                needed = 3 * (
                    encoder_flops(model.config, np.array([128])).item() * tokens / 128 + masked * head_flops(model.config)
                )
                formula = training_bytes(model.config, count_parameters(model), 128 * rows, bfloat16=True)
                static = torch.cuda.memory_allocated() / 1e9 if CUDA else 0.0
                yield {
                    "what": f"step of {tokens:,} tokens, V = {size:,}, {pieces} micro-batches{', compiled' * compiled}",
                    "ms": round(1e3 * seconds, 1),
                    "tokens/s": round(tokens / seconds),
                    "of peak": round(needed / seconds / PEAK["bfloat16"], 3),
                    "waits": host_waits(one),
                    "GB": round(static + gigabytes(one), 1),
                    "GB by formula": round(formula / 1e9, 1),
                }
        del model, optimizer, gradients


def made_batch(rows: int, size: int, length: int = 128) -> Batch:
    """Full windows with 19 masked positions each."""
    ids = torch.randint(5, size, (rows, length))
    places = (torch.arange(rows)[:, None] * length + 1 + 6 * torch.arange(19)).flatten()
    batch = Batch(
        input_ids=ids,
        lengths=torch.full((rows,), length),
        places=places,
        label_ids=ids.flatten()[places],
        topk_ids=torch.rand(len(places), 64).argsort(1)[:, :K] * (size // 64),
        topk_logits=torch.log_softmax(torch.randn(len(places), K), 1).half(),
        label_logits=None,
        tokens=rows * length,
        padded=False,
        languages=(rows,),
    )
    return batch.pin() if CUDA else batch
