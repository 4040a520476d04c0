"""`evaluate speed`: what models cost on the same texts: parameters, FLOPs by the project's own count, and seconds, in one run.

Legend: W texts, B texts of a batch, T tokens.
"""

import statistics
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from data.flops import encoder_flops
from data.progress import progress_bar
from data.table import Column, Table, Value
from student.hardware import open_accelerator
from student.tasks.judged import Judged, judged_models
from student.tasks.language_modelling import sample_languages
from student.tasks.models import check_reading, masked_lm
from student.tasks.reading import Tokens
from student.tasks.task import Example, has_types, pad_batch


def evaluate_speed(
    models: Sequence[str],
    teachers: Sequence[tuple[str, str]],
    texts: Mapping[str, Sequence[str]],
    *,
    tokens: Tokens | None,
    route: Mapping[str, str],
    count: int,
    characters: int,
    max_length: int,
    batch_size: int,
    threads: int,
    rounds: int,
) -> Table:
    """A row for each model: the encoder's forward pass over all texts, in float32. The first model is what the others are compared with.

    In each round every model reads every text once, so that a busy machine is slow for all of them; the median of the rounds counts.
    Tokens differ between models with different tokenizers: that is part of what they cost.

    Raises InputError for models and files that are not there, and for a model without room for max_length tokens.
    """
    found = sample_languages(texts, count, characters)
    judged = judged_models(models, teachers, [*found], tokens, route, option="--text")
    device = open_accelerator().device
    opened = []
    for one in judged:
        model = masked_lm(one.folder, max_length)
        for language in found:
            check_reading(one.folder, model, one.reader(language), max_length)
        opened.append((one, model.eval().to(device), _batches(one, found, max_length, batch_size)))
    seconds: dict[str, list[float]] = {one.name: [] for one in judged}
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with progress_bar(rounds * len(opened), "speed", "passes", long=False) as bar:
            for number in range(rounds + 1):
                for one, model, batches in opened:
                    taken = _time(model, batches if number else batches[:1], device)  # round 0 only wakes the libraries
                    if number:
                        seconds[one.name].append(taken)
                        bar.update(1)
    finally:
        torch.set_num_threads(before)
    return _table(
        opened,
        seconds,
        sum(map(len, found.values())),
        f"{threads} thread{'s' if threads > 1 else ''}" if device.type == "cpu" else str(device),
    )


def _batches(one: Judged, texts: Mapping[str, Sequence[str]], max_length: int, size: int) -> list[list[Example]]:
    """All texts as examples, those of similar length in one batch. A teacher reads other languages too: the same work."""
    examples = []
    for language, found in texts.items():
        reader = one.reader(language)
        for text in reader.texts(found):
            ids = (reader.roles.cls, *text.ids.tolist()[: max_length - 2], reader.roles.sep)
            examples.append(Example(input_ids=ids, second=len(ids), target=()))
    examples.sort(key=lambda example: -len(example.input_ids))
    return [examples[begin : begin + size] for begin in range(0, len(examples), size)]


@torch.no_grad()
def _time(model: Any, batches: Sequence[Sequence[Example]], device: torch.device) -> float:
    """The seconds of the encoder over all batches."""
    types, pad = has_types(model), model.config.pad_token_id or 0
    inputs = [{name: value.to(device) for name, value in pad_batch(batch, pad, types=types).items()} for batch in batches]
    _wait(device)  # for the copies
    started = time.perf_counter()
    for one in inputs:
        model.base_model(**one)
    _wait(device)
    return time.perf_counter() - started


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _table(
    opened: Sequence[tuple[Judged, Any, list[list[Example]]]], seconds: Mapping[str, Sequence[float]], texts: int, where: str
) -> Table:
    rows: list[list[Value]] = []
    first = statistics.median(next(iter(seconds.values())))
    for one, model, batches in opened:
        lengths_W = np.array([len(example.input_ids) for batch in batches for example in batch])
        held = model.get_input_embeddings().weight.numel()
        median = statistics.median(seconds[one.name])
        rows.append(
            [
                one.name,
                model.num_parameters(),
                held,
                int(lengths_W.sum()),
                float(encoder_flops(model.config, lengths_W).sum()) / 1e9,
                median,
                first / median,
            ]
        )
    columns = [
        Column("model"),
        Column("parameters", ",d"),
        Column("of the vocabulary", ",d"),
        Column("tokens", ",d"),
        Column("GFLOPs", ".2f"),
        Column("seconds", ".3f"),
        Column("times as fast", ".2f"),
    ]
    notes = [
        f"The encoder on {texts:,} texts in float32, {where}: the median of {len(next(iter(seconds.values())))} rounds. GFLOPs: by formula."
    ]
    return Table(title="Cost on the same texts", columns=columns, rows=rows, notes=notes)
