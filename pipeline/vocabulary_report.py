"""The report on a run's vocabulary: the pieces that training shows, a tokenizer of only those, and how well tokenizers agree."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.atomic import replace_folder
from data.contract import PREDICTIONS
from data.lock import exclusive
from data.manifest import listed_shards
from data.piece_counts import count_pieces
from data.progress import each, progress_bar
from data.run import Run
from data.shards import list_shards, read_shards, shards_of
from data.table import Column, Table, Value
from data.text_sample import sample_texts
from pipeline.beam.staging import recover
from pipeline.teacher.read_teachers import read_teachers
from pipeline.token_counts import count_tokens
from vocab.agreement import Agreement, hf_segmenter, measure_agreement
from vocab.errors import InputError
from vocab.folder import load_map, load_normaliser, load_union
from vocab.pictures import draw_overlap, draw_scripts
from vocab.routed import load_routed
from vocab.student_tokenizer import save_tokenizer, student_tokenizer
from vocab.union import TeacherMap, Union

CHARACTERS = 400_000  # of text for each language, on which tokenizers are compared

Counts = dict[tuple[str, str], NDArray[np.int64]]  # (teacher, language) → how often each union id occurs [V]


@dataclass(frozen=True, kw_only=True, slots=True)
class VocabularyReport:
    """The content of the report, except for its pictures."""

    counted: str  # what was counted: the predictions, or the corpora
    pieces: int  # number of pieces of the union
    trained: int  # of these, pieces that training shows at least `min_count` times; the restricted tokenizer has only them
    min_count: int
    agreement: tuple[Agreement, ...]

    def table(self, folder: Path) -> Table:
        """A row for each language and teacher: how often the tokenizers agree. `folder` is RUN/vocab."""
        return Table(
            title="Tokenizers compared",
            columns=_agreement_columns(),
            rows=[_agreement_row(row) for row in self.agreement],
            notes=[
                "Never trained (never here): the share of the union tokenizer's pieces that training never showed (in this language)."
            ],
            result=(
                f"{folder / 'report'}: pictures and report.json; {folder / 'restricted'}: the tokenizer of the {self.trained:,} pieces "
                f"of {self.pieces:,} that training shows (counted in the {self.counted})"
            ),
            facts={"folder": str(folder), "counted": self.counted, "pieces": self.pieces, "trained": self.trained},
        )


def report_vocabulary(run: Run, *, beam_args: Sequence[str] = (), show_progress: bool = True) -> VocabularyReport:
    """Write RUN/vocab/restricted (a tokenizer) and RUN/vocab/report (report.json, overlap.svg, scripts.svg)."""
    with exclusive(run.vocabulary, "writes this vocabulary"):
        return _report_vocabulary(run, beam_args, show_progress)


def _report_vocabulary(run: Run, beam_args: Sequence[str], show_progress: bool) -> VocabularyReport:
    recover(str(run.folder))  # a count that was killed
    recipe, folder = run.recipe, run.vocabulary
    union = load_union(folder)
    known = [link.teacher for link in union.links]
    strange = [teacher.name for teacher in recipe.teachers if teacher.name not in known]
    if strange:
        raise InputError(f"{folder}: holds no teacher '{strange[0]}'; expected the recipe's: run `mergedistill vocab` first")
    maps = {name: load_map(folder, name) for name in known}
    counts, counted = _count(run, union, maps, beam_args, show_progress)
    seen = np.sum(list(counts.values()), axis=0) >= recipe.vocabulary.min_count
    normaliser, length = load_normaliser(folder), recipe.examples.max_length
    whole, restricted = student_tokenizer(union, normaliser, length), student_tokenizer(union, normaliser, length, keep=seen)
    routed = {teacher.name: load_routed(folder, teacher.name) for teacher in recipe.teachers}
    rows = []
    for language in each(recipe.corpora, "compare tokenizers", "languages", show=show_progress):
        texts = list(sample_texts(recipe, language, CHARACTERS))
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

    replace_folder(folder / "restricted", lambda target: save_tokenizer(restricted, target))
    replace_folder(folder / "report", fill)
    return report


def _count(
    run: Run, union: Union, maps: dict[str, TeacherMap], beam_args: Sequence[str], show_progress: bool
) -> tuple[Counts, str]:
    """Count what training shows: in the predictions if predict has finished, else in the corpora."""
    recipe, predictions = run.recipe, run.predictions
    wanted = {*run.pairs(PREDICTIONS)}
    listed = listed_shards(predictions) or set()
    shards = read_shards(location for location in shards_of(list_shards(predictions), wanted) if location in listed)
    for shard in shards:
        if shard.identity["union"] != union.link(shard.path.teacher).fingerprint:
            raise InputError(f"{shard.location}: made with another union vocabulary; expected the one in {run.vocabulary}")
    if wanted <= {(shard.path.teacher, shard.path.language) for shard in shards}:
        with progress_bar(len(shards), "count pieces", "shards", show=show_progress, long=False) as bar:
            return count_pieces(shards, union.size, on_shard=lambda: bar.update(1) and None), "predictions"
    teachers, articles = read_teachers(recipe), recipe.vocabulary.articles
    own = count_tokens(recipe, teachers, beam_args, articles=articles, show_progress=show_progress, staging=str(run.folder))
    return {key: _in_union(count, maps[key[0]], union.size) for key, count in own.items()}, "corpora"


def _in_union(count: NDArray[np.int64], teacher_map: TeacherMap, size: int) -> NDArray[np.int64]:
    found = np.zeros(size, dtype=np.int64)
    np.add.at(found, teacher_map.spelled, np.repeat(count, teacher_map.lengths))
    return found


def _agreement_columns() -> list[Column]:
    shares = ("union as routed", "restricted as routed", "union as restricted")
    ways = ("routed", "union", "restricted")
    return [
        Column("words segmented alike", key="language"),
        Column("words", ",d"),
        *(Column(name, ".1%") for name in shares),
        *(Column(f"pieces a word: {way}" if way == "routed" else way, ".2f", key=f"pieces_a_word_{way}") for way in ways),
        *(Column(f"unk: {way}" if way == "routed" else way, ".1%", key=f"unk_{way}") for way in ways),
        Column("never trained", ".1%"),
        Column("never here", ".1%"),
    ]


def _agreement_row(row: Agreement) -> list[Value]:
    return [
        f"{row.language} ({row.teacher})",
        row.words,
        *(row.union_as_routed, row.restricted_as_routed, row.union_as_restricted),
        *(row.routed_pieces, row.union_pieces, row.restricted_pieces),
        *(row.routed_unknown, row.union_unknown, row.restricted_unknown),
        row.never_trained,
        row.never_here,
    ]
