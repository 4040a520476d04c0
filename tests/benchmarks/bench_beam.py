"""What Beam costs, and what a second worker brings: one predict job over the same units in three ways, in one run.

Baseline: a bare loop over the units in this process: read, mask, teacher, write. The job in process does the same under Beam, with the
plan before and the manifest after it. Workers are processes with one thread each (multi-processing); their rate is from the start of
the first unit to the end of the last, as the footers tell it, so that it leaves out the seconds in which processes start.
"""

import os
import tempfile
import time
from datetime import datetime
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModelForMaskedLM, BertConfig

import pipeline.predict as stage
from data.recipe import Recipe
from data.recipe_file import parse_recipe
from data.run import Run
from data.shards import list_shards, read_shards, write_shard
from pipeline.beam.teacher_steps import TeacherHandler
from pipeline.predict import predict
from pipeline.teacher.identity import teacher_identity
from pipeline.teacher.label_unit import label_unit
from pipeline.teacher.plan import make_plan
from pipeline.vocabulary import make_vocabulary
from tests.support.factories import SPECIAL, article_shard, save_tokenizer
from vocab.folder import load_map

UNITS, ARTICLES, WORDS, VOCABULARY = 40, 50, 500, 8000


def make_recipe(folder: Path) -> Recipe:
    words = [f"w{index}" for index in range(VOCABULARY)]
    tokenizer = save_tokenizer(folder / "teacher", [*SPECIAL, *words])
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=256, num_hidden_layers=4, num_attention_heads=4, intermediate_size=1024
    )
    AutoModelForMaskedLM.from_config(config).save_pretrained(folder / "teacher")
    generator = np.random.default_rng(0)
    texts = [" ".join(words[index] for index in generator.integers(0, VOCABULARY, WORDS)) for _ in range(UNITS * ARTICLES)]
    article_shard(folder / "corpora/en.parquet", texts, rows_per_group=ARTICLES)
    content = {
        "name": "bench",
        "teachers": [{"name": "t", "model": "teacher", "languages": ["en"]}],
        "corpora": {"en": "corpora/en.parquet"},
        "predict": {"unit_articles": ARTICLES, "dtype": "float32"},
    }
    return parse_recipe(content, folder=folder)


def bare_loop(recipe: Recipe, run: Path) -> float:
    started = time.perf_counter()
    identity = teacher_identity(Run(recipe=recipe, folder=run), "t")
    teacher_map = load_map(run / "vocab", "t")
    teacher = TeacherHandler(recipe, "t", teacher_map, identity, threads=0).load_model()
    for unit in make_plan(Run(recipe=recipe, folder=run), {"t": identity}).missing:
        labelled = label_unit(unit, teacher, teacher_map, recipe)
        write_shard(unit.output, labelled.table, identity=identity, unit=unit.facts(), report=labelled.report)
    return time.perf_counter() - started


def workers_rate(run: Path) -> float:
    """Units a second, from the first start to the last end."""
    reports = [shard.report for shard in read_shards(list_shards(str(run / "predictions")))]
    starts = [datetime.fromisoformat(report["started"]).timestamp() for report in reports]
    ends = [start + report["seconds"] for start, report in zip(starts, reports, strict=True)]
    return len(reports) / (max(ends) - min(starts))


def main() -> None:
    os.environ["TRANSFORMERS_VERBOSITY"] = "error"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        recipe = make_recipe(folder)

        def run(title: str) -> Path:
            made = folder / title
            make_vocabulary(Run(recipe=recipe, folder=made))
            return made

        bare = bare_loop(recipe, run("bare"))
        started = time.perf_counter()
        predict(Run(recipe=recipe, folder=run("beam")), show_progress=False)
        beam = time.perf_counter() - started
        print(f"{UNITS} units of {ARTICLES * WORDS:,} tokens, {torch.get_num_threads()} threads")
        print(f"{'bare loop (baseline)':34}{bare:>8.1f} s{1:>8.3f}")
        print(f"{'predict, in process':34}{beam:>8.1f} s{beam / bare:>8.3f}", flush=True)
        rates = {}
        for count in (1, 2):
            stage._threads = lambda _: 1  # type: ignore[assignment]  # one worker would take all cores
            place = run(f"workers{count}")
            predict(
                Run(recipe=recipe, folder=place),
                beam_args=[f"--direct_num_workers={count}", "--direct_running_mode=multi_processing"],
                show_progress=False,
            )
            rates[count] = workers_rate(place)
            print(
                f"{f'{count} worker processes, a thread each':34}{rates[count]:>8.2f} units/s{rates[count] / rates[1]:>6.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
