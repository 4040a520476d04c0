"""The report on a run's vocabulary: what training shows, the tokenizer restricted to that, and how well each way to tokenize agrees."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from data.articles import open_article_shard, read_articles
from data.contract import PREDICTIONS
from data.manifest import listed_shards
from data.piece_counts import count_pieces
from data.recipe import Recipe
from data.shards import list_shards, read_shards
from data.storage import replace_folder, require_files
from pipeline.token_counts import count_tokens
from pipeline.vocabulary import read_teachers
from vocab.agreement import Agreement, hf_segmenter, measure_agreement
from vocab.errors import InputError
from vocab.folder import load_map, load_normaliser, load_union
from vocab.pictures import draw_overlap, draw_scripts
from vocab.routed import load_routed
from vocab.student_tokenizer import student_tokenizer
from vocab.union import TeacherMap, Union

CHARACTERS = 400_000  # of each language's text that the tokenizers are compared on

Counts = dict[tuple[str, str], NDArray[np.int64]]  # (teacher, language) → how often each union id occurs [V]


@dataclass(frozen=True, kw_only=True, slots=True)
class VocabularyReport:
    """What the report says, beside its pictures."""

    counted: str  # where the counts are from: the predictions, or the corpora
    pieces: int  # of the union
    trained: int  # of these, pieces that training shows at least `min_count` times: the restricted tokenizer's
    min_count: int
    agreement: tuple[Agreement, ...]


def report_vocabulary(recipe: Recipe, run: Path, *, beam_args: Sequence[str] = (), show_progress: bool = True) -> VocabularyReport:
    """Write `run/vocab/restricted` (a tokenizer) and `run/vocab/report` (report.json, overlap.svg, scripts.svg)."""
    folder = run / "vocab"
    union = load_union(folder)
    known = [link.teacher for link in union.links]
    strange = [teacher.name for teacher in recipe.teachers if teacher.name not in known]
    if strange:
        raise InputError(f"{folder}: holds no teacher '{strange[0]}'; expected the recipe's: run `mergedistill vocab` first")
    maps = {name: load_map(folder, name) for name in known}
    counts, counted = _count(recipe, run, union, maps, beam_args, show_progress)
    seen = np.sum(list(counts.values()), axis=0) >= recipe.vocabulary.min_count
    normaliser, length = load_normaliser(folder), recipe.examples.max_length
    whole, restricted = student_tokenizer(union, normaliser, length), student_tokenizer(union, normaliser, length, keep=seen)
    routed = {teacher.name: load_routed(folder, teacher.name) for teacher in recipe.teachers}
    rows = []
    for language in tqdm(
        recipe.corpora, desc="compare tokenizers", unit="language", disable=not show_progress, leave=False, delay=1
    ):
        texts = list(sample_texts(recipe, language))
        here = np.sum([count for (_, other), count in counts.items() if other == language], axis=0) >= recipe.vocabulary.min_count
        rows += [
            measure_agreement(
                language,
                teacher.name,
                texts,
                routed=routed[teacher.name],
                union=hf_segmenter(whole),
                restricted=hf_segmenter(restricted),
                trained=seen,
                trained_here=here,
            )
            for teacher in recipe.teachers
            if language in teacher.languages
        ]
    report = VocabularyReport(
        counted=counted,
        pieces=union.size,
        trained=int(np.count_nonzero(seen)),
        min_count=recipe.vocabulary.min_count,
        agreement=tuple(rows),
    )

    def fill(target: Path) -> None:
        (target / "report.json").write_text(json.dumps(asdict(report), indent=2) + "\n", encoding="utf-8")
        named: dict[str, Any] = {f"{language}/{teacher}": count for (teacher, language), count in counts.items()}
        np.savez(target / "piece_counts.npz", **named)
        draw_overlap(union, list(maps.values()), target / "overlap.svg")
        draw_scripts(union, target / "scripts.svg")

    replace_folder(folder / "restricted", lambda target: restricted.save_pretrained(target) and None)
    replace_folder(folder / "report", fill)
    return report


def sample_texts(recipe: Recipe, language: str) -> Iterator[str]:
    """Articles of a language, the held-out ones where there are any: from each file and row group alike, CHARACTERS in all."""
    pattern = recipe.heldout.get(language, recipe.corpora[language])
    files = require_files(recipe.locate_files(pattern), f"corpus of '{language}'")
    groups = [(file, group) for file in files for group in range(open_article_shard(file).metadata.num_row_groups)]
    for file, group in groups:
        left = max(1, CHARACTERS // len(groups))
        for _, text in read_articles(file, range(group, group + 1)):
            yield text[:left]
            left -= len(text)
            if left <= 0:
                break


def _count(
    recipe: Recipe, run: Path, union: Union, maps: dict[str, TeacherMap], beam_args: Sequence[str], show_progress: bool
) -> tuple[Counts, str]:
    """What training shows: counted in the predictions once predict has finished, before that in the corpora."""
    wanted = {(teacher.name, language) for teacher in recipe.teachers for language in teacher.languages}
    predictions = recipe.shards_below(run, PREDICTIONS)
    listed = listed_shards(predictions) or set()
    shards = read_shards(location for location in list_shards(predictions) if location in listed)
    shards = [shard for shard in shards if (shard.path.teacher, shard.path.language) in wanted]
    for shard in shards:
        if shard.identity["union"] != union.link(shard.path.teacher).fingerprint:
            raise InputError(f"{shard.location}: made under another union vocabulary; expected the one in {run / 'vocab'}")
    if wanted <= {(shard.path.teacher, shard.path.language) for shard in shards}:
        with tqdm(total=len(shards), desc="count pieces", unit="shard", disable=not show_progress, leave=False, delay=1) as bar:
            return count_pieces(shards, union.size, on_shard=lambda: bar.update() and None), "predictions"
    teachers, articles = read_teachers(recipe), recipe.vocabulary.articles
    own = count_tokens(recipe, teachers, beam_args, articles=articles, show_progress=show_progress, staging=str(run))
    return {key: _in_union(count, maps[key[0]], union.size) for key, count in own.items()}, "corpora"


def _in_union(count: NDArray[np.int64], teacher_map: TeacherMap, size: int) -> NDArray[np.int64]:
    found = np.zeros(size, dtype=np.int64)
    np.add.at(found, teacher_map.spelled, np.repeat(count, teacher_map.lengths))
    return found


def agreement_table(agreement: Sequence[Agreement]) -> tuple[list[str], list[list[str]]]:
    """(header, a line a language) of how far the ways to tokenize agree."""
    header = ["words segmented alike", "words", "union = routed", "restricted = routed", "union = restricted"]
    header += ["pieces a word", "unk", "never trained", "never here"]
    lines = [
        [
            f"{row.language} ({row.teacher})",
            f"{row.words:,}",
            *(f"{share:.1%}" for share in (row.union_as_routed, row.restricted_as_routed, row.union_as_restricted)),
            f"{row.routed_pieces:.2f} / {row.union_pieces:.2f} / {row.restricted_pieces:.2f}",
            f"{row.routed_unknown:.1%} / {row.union_unknown:.1%} / {row.restricted_unknown:.1%}",
            f"{row.never_trained:.1%}",
            f"{row.never_here:.1%}",
        ]
        for row in agreement
    ]
    return header, lines
