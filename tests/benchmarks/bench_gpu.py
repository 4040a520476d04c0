"""One GPU: the teacher pass, predict from text to shards, the loss, the student's step. About four minutes on an H100.

Baselines, in the same run: the plain loop over `AutoModelForMaskedLM(...).logits` in float32 and in bfloat16; dense cross-entropy; Liger's
fused linear cross-entropy if it is installed (gold labels only). Shares are of this card's own rate of an 8192 × 8192 × 8192 product in
bfloat16. Teachers and students have BERT-base's shape and random weights. The figures go to tests/benchmarks/results/NAME.json.

    python -m tests.benchmarks.bench_gpu [--only teacher,loss] [--tiny]     --tiny: any machine, seconds, figures that mean nothing
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from tests.benchmarks.gpu_measure import CUDA, DEVICE, PEAK, TEACHER_V, TINY, Row, timed
from tests.benchmarks.gpu_predict import predict_and_train
from tests.benchmarks.gpu_student import loss, step
from tests.benchmarks.gpu_teacher import save_teacher, teacher


def rates(_: Path) -> Iterator[Row]:
    size = 256 if TINY else 8192
    left, right = (torch.randn(size, size, device=DEVICE, dtype=torch.bfloat16) for _ in range(2))
    PEAK["bfloat16"] = 2 * size**3 / timed(lambda: left @ right, 10)
    buffer = torch.empty(1 << (20 if TINY else 30), device=DEVICE, dtype=torch.uint8).random_()
    name = torch.cuda.get_device_name() if CUDA else "cpu"
    copied = 2 * buffer.numel() / timed(buffer.clone, 10)
    yield {"what": f"{name}, torch {torch.__version__}", "TFLOP/s": round(PEAK["bfloat16"] / 1e12), "TB/s": round(copied / 1e12, 2)}


def predict(folder: Path) -> Iterator[Row]:
    save_teacher(folder)
    yield from predict_and_train(folder, tiny=TINY, size=TEACHER_V)


def main() -> None:
    if not CUDA and not TINY:
        print("skipped: there is no CUDA device here; --tiny runs a small form anywhere")
        return
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
