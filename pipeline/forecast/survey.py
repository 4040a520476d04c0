"""A survey of one corpus under one teacher: windows, masked positions and FLOPs from a sample, bytes and seconds from a trial.

The trial is a unit of articles of the sample that the teacher labels. A unit costs more than its FLOPs, because every article and every
row has a cost of its own. So the trial has short and long articles in the proportions of the corpus (a trial of only long articles was
wrong by 30%). Legend: A articles of the sample, W windows.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray

from data.contract import ShardPath
from data.examples import make_examples
from data.flops import encoder_flops, head_flops
from data.identity import Identity
from data.run import Run
from data.shards import ROW_GROUP_ROWS, leaf, read_shard, write_shard
from data.storage import join
from data.teacher_files import teacher_folder, teacher_vocabulary
from pipeline.forecast.article_sample import Sample, draw_sample, list_row_groups
from pipeline.forecast.flops import padding_flops
from pipeline.teacher.label_unit import Labelled, label_unit
from pipeline.teacher.loaded import LoadedTeacher, load_teacher
from pipeline.teacher.model import batch_budget
from pipeline.teacher.plan import Unit
from pipeline.teacher.to_union import Spelling, window_alphabet
from vocab.folder import load_map
from vocab.model_source import NO_CODE

_FIRST_ARTICLES = 16  # of the first warm-up
_COPY = "copy "  # begins the id of an article that the trial has already
# The bytes of a row group grow as positions ** _GROWTH, because more of a larger one repeats (measured on the sample: 0.95 to 0.97).
_GROWTH = 0.96


@dataclass(frozen=True, kw_only=True, slots=True)
class Survey:
    """What a teacher's units in one corpus will make and cost."""

    articles: int = 0
    articles_read: int = 0  # of these, for the survey
    windows: float = 0.0
    masked_positions: float = 0.0
    flops: float = 0.0  # of the model: see data.flops
    padding_flops: float = 0.0  # what the padding of the batches adds to the encoder's
    error: float = 0.0  # half of a 95% interval, relative: the widest of windows, masked positions and FLOPs
    bytes: float | None  # of shards; None: not measured, because there are no weights
    rate: float | None  # FLOP/s of one process, padding counted as work; None: neither given nor measured

    @property
    def hours(self) -> float:
        """Of one process: the sum of the units' own seconds, without loading the teacher and writing the shards."""
        return (self.flops + self.padding_flops) / self.rate / 3600 if self.rate else 0.0


class Surveyor:
    """A teacher of the recipe. The model is loaded for the first trial.

    identity  of the teacher's shards; None if there are no weights: then there is no trial
    """

    def __init__(self, run: Run, name: str, identity: Identity | None) -> None:
        from transformers import AutoConfig

        folder = teacher_folder(run.recipe, name, weights=False)
        # A trial has few articles: only the run can decide whether too many of them fail.
        lenient = run.recipe.predict.model_copy(update={"max_quarantined": 1.0})
        self._recipe = run.recipe.model_copy(update={"predict": lenient})
        self._name, self._identity = name, identity
        self._map = load_map(run.vocabulary, name)
        self._config = AutoConfig.from_pretrained(folder, **NO_CODE)
        self._vocabulary = teacher_vocabulary(run.recipe, name, folder)

    @cached_property
    def _loaded(self) -> LoadedTeacher:
        return load_teacher(self._recipe, self._name, self._map, self._identity or {})

    def survey(self, units: Sequence[Unit], *, rate: float | None, seconds: float, scratch: str) -> Survey:
        """Survey the units of one corpus. The trial takes about `seconds`. A given rate (FLOP/s) replaces the measured one."""
        groups = list_row_groups(units)
        sample = draw_sample(groups, self._recipe.examples.max_length)
        if not sample.articles:
            return Survey(bytes=0.0 if self._identity else None, rate=rate)
        articles = sum(group.articles for group in groups)
        unit_articles = max(1, round(articles / len(units)))
        windows_A, masked_A = self._mask(sample)
        flops_A = np.array([encoder_flops(self._config, tokens_W).sum() for tokens_W in windows_A])
        flops_A += masked_A * head_flops(self._config)
        budget = batch_budget(self._recipe.predict.tokens_per_batch, "cuda" if torch.cuda.is_available() else "cpu")
        totals = [sample.total(values_A) for values_A in (np.array([*map(len, windows_A)]), masked_A, flops_A)]
        (windows, _), (masked, _), (flops, _) = totals

        def unit_flops(unit_A: NDArray[np.int64]) -> tuple[float, float]:
            """(FLOPs of a unit of these articles, FLOPs of its padding)."""
            tokens_W = np.concatenate([windows_A[article] for article in unit_A])
            return flops_A[unit_A].sum(), padding_flops(self._config, tokens_W, budget, self._recipe.examples.max_length)

        own, padding = unit_flops(sample.unit(unit_articles))
        size = None
        if self._identity:
            unit_A, took, labelled = self._run_trial(sample, units, unit_articles, seconds, scratch)
            rate = rate or sum(unit_flops(unit_A)) / took
            size = len(units) * self._shard_bytes(labelled, windows / len(units), masked / len(units))
        return Survey(
            articles=articles,
            articles_read=len(set(sample.articles)),
            windows=windows,
            masked_positions=masked,
            flops=flops,
            padding_flops=flops * padding / max(own, 1.0),
            error=max((width / total for total, width in totals if total), default=0.0),
            bytes=size,
            rate=rate,
        )

    def _mask(self, sample: Sample) -> tuple[list[NDArray[np.int64]], NDArray[np.int64]]:
        """(tokens of each window, for each article [A]; masked positions [A]), by predict's tokenizer and masking."""
        spelling = Spelling.of(self._map, longest=self._recipe.examples.max_length - 2)
        alphabet = window_alphabet(self._vocabulary.roles, self._map, spelling)
        tokens_A: list[list[int]] = [[] for _ in sample.articles]
        masked_A = np.zeros(len(sample.articles), dtype=np.int64)
        examples = make_examples(
            ((str(article), text) for article, (_, text) in enumerate(sample.articles)),
            self._vocabulary.tokenizer,
            alphabet,
            self._recipe.examples,
            self._recipe.seed,
            Counter(),
            failed=lambda _doc_id, _reason: None,  # predict sets such an article aside
        )
        for example in examples:
            tokens_A[int(example.doc_id)].append(len(example.input_ids))
            masked_A[int(example.doc_id)] += len(example.mask_positions)
        return [np.array(tokens, dtype=np.int64) for tokens in tokens_A], masked_A

    def _run_trial(
        self, sample: Sample, units: Sequence[Unit], most: int, seconds: float, scratch: str
    ) -> tuple[NDArray[np.int64], float, Labelled]:
        """(articles of the trial, its seconds, its labels). Warm-ups grow until the trial has `most` articles or takes long enough.

        Then the same articles are labelled again, at most once per unit of the corpus, as long as there is time. These runs count.
        """
        shard = ShardPath(language=units[0].language, teacher=self._name, name="trial").below(scratch)
        unit = replace(units[0], corpus=join(scratch, "articles.parquet"), first_row_group=0, row_groups=1, output=shard)

        def label() -> Labelled:
            _write_articles(unit.corpus, [sample.articles[article] for article in unit_A])
            return label_unit(unit, self._loaded, self._map, self._recipe)

        count = min(most, _FIRST_ARTICLES)
        unit_A = sample.unit(count)
        while label().report["seconds"] < seconds / 4 and count < most:
            count = min(most, 3 * count)
            unit_A = sample.unit(count)
        took: list[float] = []
        while not took or (len(took) < len(units) and sum(took) + took[-1] < seconds / 2):
            labelled = label()
            took.append(max(labelled.report["seconds"], 0.001))  # the report rounds to whole milliseconds
        return unit_A, sum(took) / len(took), labelled

    def _shard_bytes(self, labelled: Labelled, windows: float, masked: float) -> float:
        """The bytes of a shard of so many windows and masked positions, from the rows of the trial without copies of articles.

        Copies compress better than the articles of a corpus do.
        """
        table = labelled.table.filter(pc.invert(pc.starts_with(labelled.table["doc_id"], _COPY)))
        sizes = []
        for rows in (table, table.slice(0, 1)):  # one row is nearly all footer and headers: what every shard has once
            facts = labelled.unit.facts()
            write_shard(labelled.unit.output, rows, identity=self._identity or {}, unit=facts, report=labelled.report)
            sizes.append(read_shard(labelled.unit.output).bytes)
        row_groups = max(1, math.ceil(windows / ROW_GROUP_ROWS))
        positions = max(1, len(leaf(table["label_ids"])[0]))
        return float(sizes[1] + row_groups * (sizes[0] - sizes[1]) * (masked / row_groups / positions) ** _GROWTH)


def _write_articles(location: str, articles: Sequence[tuple[str, str]]) -> None:
    """Write an article shard. Each copy of an article gets an id of its own, and with it other masks."""
    texts: dict[str, str] = {}
    for doc_id, text in articles:
        texts[f"{_COPY}{len(texts)} {doc_id}" if doc_id in texts else doc_id] = text
    pq.write_table(pa.table({"id": [*texts], "text": [*texts.values()]}), location)
