"""One GPU: the teacher pass, predict from text to shards, the loss, the student's step. About four minutes on an H100.

Baselines, in the same run: the plain loop over `AutoModelForMaskedLM(...).logits` in float32 and in bfloat16; dense cross-entropy; Liger's
fused linear cross-entropy if it is installed (gold labels only). Shares are of this card's own rate of an 8192 × 8192 × 8192 product in
bfloat16. Teachers and students have BERT-base's shape and random weights. The figures go to tests/benchmarks/results/NAME.json.

    python -m tests.benchmarks.bench_gpu [--only teacher,loss] [--tiny]     --tiny: any machine, seconds, figures that mean nothing
"""

import json
import os
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional
from transformers import AutoModelForMaskedLM, BertConfig

from data.examples import Example
from data.recipe import Student, Train
from pipeline.forecast.flops import encoder_flops, head_flops
from pipeline.teacher.model import TeacherModel, batch_budget
from pipeline.teacher.windows import Windows, block_windows
from student.hardware import compile_layers, open_accelerator
from student.model import count_parameters, new_student
from student.training.batch import Batch
from student.training.loop import make_optimizer
from student.training.loss import masked_loss
from student.training.masked_head import MaskedLM
from student.training.memory import training_bytes
from student.training.step import GradientStep
from student.training.stream import Position, Step
from tests.benchmarks.gpu_predict import predict_and_train
from vocab.roles import UNION_ROLES
from vocab.union import TeacherMap

TINY = "--tiny" in sys.argv
CUDA = torch.cuda.is_available()
DEVICE = torch.device("cuda" if CUDA else "cpu")
LAYERS, HIDDEN, HEADS, K = (2, 64, 4, 8) if TINY else (12, 768, 12, 8)
TEACHER_V, STUDENT_VS = (3001, (3000, 5000)) if TINY else (119_547, (120_000, 300_000))
PEAK: dict[str, float] = {"bfloat16": 1.0}
Row = dict[str, Any]


def timed(work: Callable[[], object], repeats: int = 5, warm: int = 2) -> float:
    """Median seconds of a call, the device's work included."""
    times = []
    for index in range(1 if TINY else warm + repeats):
        synchronise()
        started = time.perf_counter()
        work()
        synchronise()
        times += [time.perf_counter() - started] if TINY or index >= warm else []
    return statistics.median(times)


def synchronise() -> None:
    if CUDA:
        torch.cuda.synchronize()


def gigabytes(work: Callable[[], object]) -> float:
    """Peak device memory of a call above the start, in 10⁹ bytes."""
    if not CUDA:
        return 0.0
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    work()
    return round((torch.cuda.max_memory_allocated() - before) / 1e9, 2)


def host_waits(work: Callable[[], object]) -> int:
    """How often the host waits for the device in a call."""
    if not CUDA:
        return 0
    work()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        work()
        torch.cuda.set_sync_debug_mode("default")
    return sum("called a synchronizing" in str(warning.message) for warning in caught)


def rates(_: Path) -> Iterator[Row]:
    size = 256 if TINY else 8192
    left, right = (torch.randn(size, size, device=DEVICE, dtype=torch.bfloat16) for _ in range(2))
    PEAK["bfloat16"] = 2 * size**3 / timed(lambda: left @ right, 10)
    buffer = torch.empty(1 << (20 if TINY else 30), device=DEVICE, dtype=torch.uint8).random_()
    name = torch.cuda.get_device_name() if CUDA else "cpu"
    copied = 2 * buffer.numel() / timed(buffer.clone, 10)
    yield {"what": f"{name}, torch {torch.__version__}", "TFLOP/s": round(PEAK["bfloat16"] / 1e12), "TB/s": round(copied / 1e12, 2)}


def everything(size: int) -> TeacherMap:
    ids = np.arange(size, dtype=np.uint32)
    return TeacherMap(teacher="t", union_ids=ids, predictable=ids > 4, real=ids > 4, lengths=np.ones(size, np.int64), spelled=ids)


def full_windows(count: int, length: int) -> list[Example]:
    generator, made = np.random.default_rng(0), []
    for index in range(count):
        masks = np.sort(generator.permutation(np.arange(1, length - 1))[: round(0.15 * (length - 2))]).astype(np.uint16)
        ids = generator.integers(5, TEACHER_V, length).astype(np.uint32)
        made.append(Example(doc_id="d", window=index, input_ids=ids, mask_positions=masks, label_ids=ids[masks]))
    return made


def save_teacher(folder: Path) -> BertConfig:
    """Put a teacher into folder/teacher, if it is not there."""
    config = BertConfig(
        vocab_size=TEACHER_V,
        hidden_size=HIDDEN,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        intermediate_size=4 * HIDDEN,
    )
    if not (folder / "teacher").exists():
        with torch.device(DEVICE):
            AutoModelForMaskedLM.from_config(config).save_pretrained(folder / "teacher")
    return config


def predict(folder: Path) -> Iterator[Row]:
    save_teacher(folder)
    yield from predict_and_train(folder, tiny=TINY, size=TEACHER_V)


def teacher(folder: Path) -> Iterator[Row]:
    config = save_teacher(folder)
    for length in (128, 512):
        budget = batch_budget("auto", DEVICE.type)
        size = 16 if TINY else block_windows(budget, length)
        some = full_windows(3 * size, length)
        blocks = [Windows.of(some[at : at + size]) for at in range(0, len(some), size)]
        needed = encoder_flops(config, np.array([length])).item() + len(some[0].mask_positions) * head_flops(config)

        def row(name: str, seconds: float, windows: int, needed: float = needed, length: int = length) -> Row:
            rate = windows / seconds
            return {
                "what": f"teacher, T = {length}: {name}",
                "tokens/s": round(rate * length),
                "of peak": round(rate * needed / PEAK["bfloat16"], 3),
            }

        def ours(model: TeacherModel, blocks: list[Windows] = blocks) -> None:
            running = None
            for block in blocks:  # as predict: a block is on the device while the one before it is collected
                started = model.begin(block, 0, K, "auto")
                if running:
                    running.result()
                running = started
            assert running
            running.result()

        for name, dtype, compiled in (
            ("ours", "bfloat16", False),
            ("ours, compiled", "bfloat16", CUDA),
            ("ours", "float32", False),
        ):
            if dtype == "float32" and length != 128:
                continue
            model = TeacherModel(folder / "teacher", "t", everything(TEACHER_V), dtype, compiled=compiled)
            yield row(f"{name}, {dtype}", timed(partial(ours, model), 3), len(some))
            if name == "ours" and dtype == "bfloat16":
                waits = host_waits(partial(model.begin, blocks[0], 0, K, "auto"))
                yield {"what": f"teacher, T = {length}: a block", "waits": waits, "GB": gigabytes(partial(ours, model))}
            del model
        base = AutoModelForMaskedLM.from_pretrained(folder / "teacher").to(DEVICE).eval()
        for type_ in (torch.bfloat16, torch.float32):
            part = some[: 16 if TINY else 512 * 128 // length]
            yield row(f"plain loop, {str(type_)[6:]}", timed(partial(plain, base.to(type_), part), 2, 1), len(part))


@torch.inference_mode()
def plain(model: Any, examples: list[Example]) -> None:
    """What most scripts do: logits at every position, log-softmax, top-k at the masks; 32 windows a batch."""
    for start in range(0, len(examples), 32):
        part = examples[start : start + 32]
        ids = torch.from_numpy(np.stack([example.input_ids for example in part]).astype(np.int64)).to(DEVICE)
        logits = torch.log_softmax(model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits, -1)
        masks = [row * ids.shape[1] + example.mask_positions.astype(np.int64) for row, example in enumerate(part)]
        for found in logits.flatten(0, 1)[torch.from_numpy(np.concatenate(masks)).to(DEVICE)].topk(K):
            found.cpu()


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
                part = Step(batches=tuple(made_batch(rows, size) for _ in range(pieces)), after=Position())

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


def main() -> None:
    chosen = sys.argv[sys.argv.index("--only") + 1].split(",") if "--only" in sys.argv else None
    sections: dict[str, Callable[[Path], Iterator[Row]]] = {
        "rates": rates,
        "teacher": teacher,
        "predict": predict,
        "loss": loss,
        "step": step,
    }
    found: list[Row] = []
    name = torch.cuda.get_device_name().replace(" ", "-") if CUDA else "cpu"
    out = Path(os.environ.get("OUT", Path(__file__).parent / "results"), f"{name}{'-tiny' * TINY}.json")
    with tempfile.TemporaryDirectory() as folder:
        for title, section in sections.items():
            if chosen and title not in ("rates", *chosen):
                continue
            started = time.perf_counter()
            try:
                for row in section(Path(folder)):
                    found.append(row)
                    print(f"{row['what']:76}", *(f"{key}: {value:,}" for key, value in row.items() if key != "what"), flush=True)
            except Exception as error:  # the other sections still count: a lent card is not there again soon
                found.append({"what": f"{title} failed", "error": f"{type(error).__name__}: {str(error)[:300]}"})
                print(found[-1], flush=True)
            print(f"  {title}: {time.perf_counter() - started:.0f} s", flush=True)
            out.write_text(json.dumps(found, indent=1) + "\n")
    print(f"written to {out}")


if __name__ == "__main__":
    main()
