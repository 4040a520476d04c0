"""A survey of one corpus under one teacher: its windows, masked positions and FLOPs from a sample, its bytes and seconds from a trial.

Legend: A articles of the sample, W their windows.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from data.examples import make_examples
from data.identity import Identity
from data.run import Run
from data.shards import ROW_GROUP_ROWS
from pipeline.forecast.article_sample import Sample, draw_sample, list_row_groups
from pipeline.forecast.flops import encoder_flops, head_flops
from pipeline.forecast.trial_unit import run_trial
from pipeline.teacher.files import teacher_folder, teacher_vocabulary
from pipeline.teacher.label_unit import BLOCK, LoadedTeacher, load_teacher
from pipeline.teacher.model import length_batches
from pipeline.teacher.plan import Unit
from pipeline.teacher.to_union import Spelling, window_alphabet
from vocab.folder import load_map


@dataclass(frozen=True, kw_only=True, slots=True)
class Survey:
    """What a teacher's units in one corpus will make and cost."""

    articles: int
    articles_read: int  # of these, for the survey
    windows: float
    masked_positions: float
    flops: float  # the model's: see pipeline.forecast.flops
    padding_flops: float  # what the padding of the batches adds to the encoder's
    error: float  # half of a 95% interval, relative: the widest of those of windows, masked positions and FLOPs
    bytes: float | None  # of shards; None: not measured, for want of weights
    rate: float | None  # FLOP/s of one process, padding counted as work; None: neither given nor measured

    @property
    def flops_with_padding(self) -> float:
        return self.flops + self.padding_flops

    @property
    def hours(self) -> float:
        """Of one process: the sum of the units' own seconds. The teacher's loading and the writing of shards are not in them."""
        return self.flops_with_padding / self.rate / 3600 if self.rate else 0.0


class Surveyor:
    """A teacher of the recipe: what masking needs of it, and the model itself once it is asked for.

    identity  of the teacher's shards; None if there are no weights, so that there is no trial
    """

    def __init__(self, run: Run, name: str, identity: Identity | None) -> None:
        from transformers import AutoConfig

        recipe = run.recipe
        folder = teacher_folder(recipe, name, weights=False)
        teacher_map = load_map(run.vocabulary, name)
        spelling = Spelling.of(teacher_map, longest=recipe.examples.max_length - 2)
        self._recipe, self._identity = recipe, identity
        self._config = AutoConfig.from_pretrained(folder)
        self._vocabulary = teacher_vocabulary(recipe, name, folder)
        self._alphabet = window_alphabet(self._vocabulary.roles, teacher_map, spelling)
        # A trial's articles are few: whether too many of them fail is for the run to say.
        self._lenient = recipe.model_copy(update={"predict": recipe.predict.model_copy(update={"max_quarantined": 1.0})})
        self._name, self._map = name, teacher_map

    @cached_property
    def _loaded(self) -> LoadedTeacher:
        return load_teacher(self._lenient, self._name, self._map, self._identity or {})

    def survey(self, units: Sequence[Unit], *, rate: float | None, seconds: float, scratch: str) -> Survey:
        """Survey the units of one corpus. The trial takes about `seconds`; rate (FLOP/s): instead of the one it measures."""
        groups = list_row_groups(units)
        sample = draw_sample(groups, self._recipe.examples.max_length)
        seen = self._mask(sample)
        totals = [
            sample.total(np.bincount(seen.article_W, weights=value_W, minlength=len(sample.articles)))
            for value_W in (np.ones(len(seen.flops_W)), seen.masked_W, seen.flops_W)
        ]
        windows, masked, flops = (total for total, _ in totals)
        size = 0.0 if self._identity else None
        articles, padding = sum(group.articles for group in groups), 0.0
        unit_articles = max(1, round(articles / max(1, len(units))))
        if sample.articles:
            own, added = self._unit_flops(seen, sample.unit(unit_articles))
            padding = flops * added / max(own, 1.0)
        if self._identity and sample.articles:
            trial = run_trial(
                sample,
                articles=unit_articles,
                units=len(units),
                label=lambda unit: self._loaded.label(unit, self._map, self._lenient),
                identity=self._identity,
                folder=scratch,
                seconds=seconds,
            )
            measured = sum(sum(self._unit_flops(seen, unit_A)) for unit_A in trial.units) / trial.seconds
            row_groups = math.ceil(windows / len(units) / ROW_GROUP_ROWS)
            size, rate = len(units) * trial.shard_bytes(masked / len(units), row_groups), rate or measured
        return Survey(
            articles=articles,
            articles_read=len(sample.articles),
            windows=windows,
            masked_positions=masked,
            flops=flops,
            padding_flops=padding,
            error=max((width / total for total, width in totals if total), default=0.0),
            bytes=size,
            rate=rate,
        )

    def _mask(self, sample: Sample) -> "_Windows":
        """The windows of the sample. Articles go by their number, so that each window can be told to its own."""
        articles = ((str(index), text) for index, (_, text) in enumerate(sample.articles))
        tokenizer, settings, seed = self._vocabulary.tokenizer, self._recipe.examples, self._recipe.seed
        found = [
            (int(example.doc_id), len(example.input_ids), len(example.mask_positions))
            for example in make_examples(articles, tokenizer, self._alphabet, settings, seed, Counter(), failed=_pass_over)
        ]
        article_W, tokens_W, masked_W = np.array(found, dtype=np.int64).reshape(-1, 3).T
        flops_W = encoder_flops(self._config, tokens_W) + masked_W * head_flops(self._config)
        return _Windows(article_W=article_W, tokens_W=tokens_W, masked_W=masked_W, flops_W=flops_W)

    def _unit_flops(self, seen: "_Windows", unit_A: NDArray[np.int64]) -> tuple[float, float]:
        """(FLOPs of a unit of these articles, FLOPs that padding adds to its encoder's)."""
        unit_W = seen.of(unit_A)
        tokens_W = seen.tokens_W[unit_W]
        padded_W = tokens_W.copy()
        for start in range(0, len(tokens_W), BLOCK):
            block = tokens_W[start : start + BLOCK]
            for batch in length_batches(block.tolist(), self._recipe.predict.tokens_per_batch):
                padded_W[start + batch] = block[batch].max()
        added = encoder_flops(self._config, padded_W).sum() - encoder_flops(self._config, tokens_W).sum()
        return float(seen.flops_W[unit_W].sum()), float(added)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Windows:
    """The windows of a sample's articles, as the teacher is shown them."""

    article_W: NDArray[np.int64]  # increasing
    tokens_W: NDArray[np.int64]
    masked_W: NDArray[np.int64]
    flops_W: NDArray[np.float64]

    def of(self, unit_A: NDArray[np.int64]) -> NDArray[np.int64]:
        """The numbers of the windows of some articles, in the articles' order."""
        starts_A, stops_A = (np.searchsorted(self.article_W, unit_A, side=side) for side in ("left", "right"))
        return np.concatenate([np.arange(start, stop) for start, stop in zip(starts_A, stops_A, strict=True)])


def _pass_over(_doc_id: str, _reason: str) -> None:
    """An article that the tokenizer fails on: predict sets it aside."""
