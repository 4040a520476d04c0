"""predict from text to shards on one GPU, against the teacher pass alone on the same windows; and a student on what it wrote."""

import json
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from data.articles import read_articles
from data.examples import make_examples
from data.recipe_file import parse_recipe
from data.run import Run
from data.shards import list_shards, read_shards
from pipeline.predict import predict
from pipeline.teacher.identity import teacher_identity
from pipeline.teacher.loaded import load_teacher
from pipeline.teacher.windows import Windows, block_windows
from pipeline.vocabulary import make_vocabulary
from student.train_student import train_student
from tests.support.factories import SPECIAL
from vocab.folder import load_map

LETTERS = "abcdefghijklmnopqrstuvwxyz"


# Name, options of Beam, units: so many that the start of the processes counts for little.
WAYS = (
    ("one unit at a time", "", 8),
    ("four processes", "--direct_running_mode=multi_processing --direct_num_workers=4", 64),
    ("eight processes", "--direct_running_mode=multi_processing --direct_num_workers=8", 64),
)


def predict_and_train(folder: Path, *, tiny: bool, size: int) -> Iterator[dict[str, Any]]:
    """Rows of the benchmark. `folder/teacher` holds the model of the teacher, with `size` tokens."""
    articles = 20 if tiny else 1000
    words = make_words(500 if tiny else 60_000)
    save_tokenizer(folder / "teacher", words, size)
    make_articles(folder, words, 2 if tiny else 64, articles)
    student = {"layers": 1, "hidden_size": 32, "heads": 2} if tiny else {}
    content = {
        "name": "gpu",
        "teachers": [{"name": "t", "model": "teacher", "languages": ["xx"]}],
        "predict": {"unit_articles": articles},
        "student": student,
        "train": {
            "steps": 20,
            "warmup_steps": 4,
            "learning_rate": 5e-4,
            "log_steps": 5,
            **({"tokens_per_batch": 2048} if tiny else {}),
        },
    }
    alone = None
    for name, options, units in WAYS:
        chosen = "articles/*.parquet" if units > 8 else "articles/?.parquet"
        recipe = parse_recipe(content | {"corpora": {"xx": chosen}}, folder=folder)
        run = Run(recipe=recipe, folder=folder / name.replace(" ", "-"))
        make_vocabulary(run, show_progress=False)
        if alone is None:
            alone = pass_alone(run)
            yield {"what": "predict: the teacher pass alone, on windows made before", "tokens/s": round(alone)}
        result = predict(run, beam_args=options.split(), show_progress=False)
        shards = read_shards(list_shards(run.predictions))
        starts = [datetime.fromisoformat(shard.report["started"]).timestamp() for shard in shards]
        ends = [start + shard.report["seconds"] for start, shard in zip(starts, shards, strict=True)]
        tokens = [shard.report["counters"]["tokens"] for shard in shards]
        rate = sum(tokens) / (max(ends) - min(starts))
        yield {
            "what": f"predict: from text to shards, {name}",
            "tokens/s": round(rate),
            "of the pass": round(rate / alone, 2),
            "while all are busy": round(busy_rate(ends, tokens) / alone, 2),
            "seconds a unit": round(float(np.median([shard.report["seconds"] for shard in shards])), 2),
            "seconds in all": round(result.seconds, 1),
        }
    trained = train_student(run, progress=False)
    rows = [json.loads(line) for line in (trained.out / "metrics.jsonl").read_text().splitlines()]
    yield {
        "what": "train: 20 steps on these shards, the last 5",
        "loss at 5": rows[0]["loss"],
        "loss at 20": rows[-1]["loss"],
        "tokens/s": rows[-1]["tokens_per_second"],
        "stream wait": rows[-1]["stream_wait_share"],
    }


def busy_rate(ends: list[float], tokens: list[int]) -> float:
    """Tokens a second between the tenth of the units that ended first and the tenth that ended last."""
    done = sorted(zip(ends, tokens, strict=True))
    edge = len(done) // 10
    inside = done[edge + 1 : len(done) - edge]
    return sum(count for _, count in inside) / (inside[-1][0] - done[edge][0]) if len(inside) > 1 else float("nan")


def pass_alone(run: Run) -> float:
    """Tokens a second of the teacher on the windows of two units, tokenised and masked before."""
    import time

    recipe = run.recipe
    teacher = load_teacher(recipe, "t", load_map(run.vocabulary, "t"), teacher_identity(run, "t"))
    made: list[Any] = []
    for name in ("0", "1"):
        articles = read_articles(str(recipe.folder / f"articles/{name}.parquet"), range(1))
        made += make_examples(articles, teacher.vocabulary.tokenizer, teacher.alphabet, recipe.examples, recipe.seed, Counter())
    size = block_windows(65_536 if teacher.model.device.type == "cuda" else 4096, recipe.examples.max_length)
    blocks = [Windows.of(made[at : at + size]) for at in range(0, len(made), size)]
    times = []
    for _ in range(3):
        started, running = time.perf_counter(), None
        for block in blocks:
            begun = teacher.model.begin(block, teacher.vocabulary.roles.pad, recipe.predict.top_k, "auto")
            if running:
                running.result()
            running = begun
        assert running
        running.result()
        times.append(time.perf_counter() - started)
    return float(sum(len(example.input_ids) for example in made) / min(times))


def make_words(count: int) -> list[str]:
    draw = np.random.default_rng(0)
    return ["".join(draw.choice(list(LETTERS), length)) for length in draw.integers(2, 12, count)]


def save_tokenizer(folder: Path, words: list[str], size: int) -> None:
    """WordPiece: every other word is a piece, the others are of letters and pairs of letters."""
    pairs = [f"##{first}{second}" for first in LETTERS for second in LETTERS]
    pieces = dict.fromkeys([*SPECIAL, *LETTERS, *(f"##{letter}" for letter in LETTERS), *pairs, *words[::2]])
    vocab = {piece: index for index, piece in enumerate([*pieces, *(f"filler{index}" for index in range(size - len(pieces)))])}
    backend = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]"))
    backend.normalizer, backend.pre_tokenizer = normalizers.BertNormalizer(lowercase=False), pre_tokenizers.BertPreTokenizer()
    roles = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), SPECIAL, strict=True))
    PreTrainedTokenizerFast(tokenizer_object=backend, **roles).save_pretrained(folder)


def make_articles(folder: Path, words: list[str], units: int, articles: int) -> None:
    """One shard a unit, articles of 400 words that are as common as words are."""
    draw = np.random.default_rng(0)
    (folder / "articles").mkdir(parents=True)
    for number in range(units):
        chosen = np.minimum(draw.zipf(1.2, (articles, 400)).clip(0, 10**9), len(words)) - 1
        texts = [" ".join(words[index] for index in row) for row in chosen]
        ids = [f"{number}-{index}" for index in range(articles)]
        columns = {"id": ids, "url": ids, "title": ids, "text": texts}
        pq.write_table(pa.table(columns), folder / f"articles/{number}.parquet")
