"""`trim`: a multilingual masked LM with only the vocabulary of some languages (BiStil, Ansell et al. 2023).

The encoder is not changed. The rows of the embeddings and of the head that the languages do not need are removed, in many models the most
of their parameters. What is saved is compared with the model before it is shown: the logits of the kept pieces, and the unknown tokens.
"""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from data.atomic import replace_folder, require_new_folder
from data.identity import location_fingerprint, weights_fingerprint
from data.lock import exclusive
from data.storage import require_files
from data.table import Column, Table, Value
from data.window_check import longest_window
from student.bilingual.trim_record import TrimRecord, read_trim, write_trim
from student.bilingual.trimming import check_logits, configured_ids, trim_model, window_logits, windows_of
from student.bilingual.vocabulary_use import SAMPLE_ARTICLES, Change, change_of, count_use
from student.hf_folder import load_config, load_model, save_model
from student.tasks.models import masked_lm
from vocab.errors import InputError
from vocab.model_source import model_folder
from vocab.roles import Roles
from vocab.student_tokenizer import save_tokenizer
from vocab.teacher_vocabulary import vocabulary_of
from vocab.tokenizer_source import open_tokenizer
from vocab.trim import check_shares, choose_ids, read_trimmable
from vocab.trimmed_tokenizer import trimmed_tokenizer

_WINDOW = 32  # tokens of the longest window on which the models are compared


@dataclass(frozen=True, kw_only=True, slots=True)
class TrimResult:
    """What trimming made."""

    out: Path  # an HF folder
    changes: tuple[Change, ...]  # one a language
    pieces_before: int  # rows of the model's vocabulary
    pieces_after: int
    parameters_before: int
    parameters_after: int
    logit_difference: float  # largest, of kept pieces, on a few windows

    def table(self) -> Table:
        """A row for each language."""
        columns = [
            Column("language"),
            Column("articles", ",d"),
            Column("tokens", ",d"),
            Column("unknown before", ".3%"),
            Column("unknown after", ".3%"),
            Column("pieces/word before", ".3f"),
            Column("pieces/word after", ".3f"),
            Column("same words", ".3%"),
        ]
        rows: list[list[Value]] = [
            [
                change.language,
                change.articles,
                change.tokens,
                change.unknown_before,
                change.unknown_after,
                change.pieces_before,
                change.pieces_after,
                change.same_words,
            ]
            for change in self.changes
        ]
        names = ("pieces_before", "pieces_after", "parameters_before", "parameters_after", "logit_difference")
        return Table(
            title="Trimmed vocabulary",
            columns=columns,
            rows=rows,
            notes=[
                f"Before and after: on up to {SAMPLE_ARTICLES} articles of each language. Same words: with the same pieces as before.",
                f"Pieces: {self.pieces_before:,} before, {self.pieces_after:,} after. Parameters: {self.parameters_before:,} before, "
                f"{self.parameters_after:,} after.",
            ],
            result=(
                f"{self.out}: a masked LM of {self.pieces_after:,} pieces, {self.parameters_after / self.parameters_before:.0%} of the "
                "parameters. Next: fine-tune it, or name it as a teacher in a recipe"
            ),
            facts={"out": str(self.out)} | {name: getattr(self, name) for name in names},
        )


def trim(
    model: str,
    corpora: Mapping[str, Sequence[str]],
    out: Path,
    *,
    min_probability: float = 1e-6,
    min_coverage: float = 0.9995,
    articles: int = 0,
    progress: bool = True,
) -> TrimResult:
    """Trim a masked LM (a folder or Hub id) to the languages of the corpora, and leave it in `out` with its tokenizer and trim.json.

    corpora          language → article shards (paths, globs or URIs)
    min_probability  share of a language's tokens that a piece must have in one language; see `vocab.trim`
    min_coverage     share of each language's tokens that the kept pieces make up at least; 0: the paper's rule, min_probability alone
    articles         of each language that are counted, spread evenly; 0: all

    Raises InputError for a folder that is not empty, no corpus, a file that is named twice, a corpus without a token, a model that is no
    masked LM, and for an architecture or a tokenizer that cannot be trimmed.
    """
    with exclusive(Path(out), "trims a model there"):
        return _trim(model, corpora, Path(out), min_probability, min_coverage, articles, progress)


def _trim(
    model: str,
    corpora: Mapping[str, Sequence[str]],
    out: Path,
    min_probability: float,
    min_coverage: float,
    articles: int,
    progress: bool,
) -> TrimResult:
    """`trim`, where no other process writes the folder."""
    require_new_folder(out)
    check_shares(min_probability, min_coverage)
    if articles < 0:
        raise InputError(f"--articles: found {articles}; expected a number of articles, or 0 for all")
    files = _files(corpora)
    folder = model_folder(model, base=Path("."), name=None, weights=True)
    full = masked_lm(folder, 1)
    tokenizer = open_tokenizer(folder, model)
    vocabulary = read_trimmable(tokenizer, model)
    size = full.config.vocab_size
    if vocabulary.size > size:
        raise InputError(
            f"{folder}: its tokenizer has the id {vocabulary.size - 1}, and the model {size} rows: they do not belong together"
        )
    use = count_use(tokenizer, vocabulary, files, articles, progress=progress)
    held = [index for index in configured_ids(full.config) if index < vocabulary.size and vocabulary.tokens[index]]
    kept_ids = choose_ids(
        vocabulary,
        use.counts,
        min_probability=min_probability,
        min_coverage=min_coverage,
        characters=use.characters,
        needed=[*use.needed_V.nonzero()[0], *held],
    )
    trimmed = trimmed_tokenizer(tokenizer, kept_ids, model)
    taken = inspect.signature(full.forward).parameters
    trimmed.model_input_names = [name for name in trimmed.model_input_names if name in taken]
    changes = [change_of(language, use, tokenizer, trimmed, kept_ids, vocabulary.roles.unk) for language in files]
    record = TrimRecord(
        model=model,
        weights=weights_fingerprint(folder),
        tokenizer=vocabulary_of(tokenizer, model).tokenizer_fingerprint,
        corpora={language: tuple(location_fingerprint(file) for file in found) for language, found in files.items()},
        min_probability=min_probability,
        min_coverage=min_coverage,
        articles=articles,
        kept_ids=kept_ids,
    )
    parameters = full.num_parameters()
    smaller, difference = _publish(full, load_config(folder).dtype, trimmed, record, vocabulary.roles, out)
    return TrimResult(
        out=out,
        changes=tuple(changes),
        pieces_before=size,
        pieces_after=len(kept_ids),
        parameters_before=parameters,
        parameters_after=smaller.num_parameters(),
        logit_difference=difference,
    )


def _publish(full: Any, dtype: Any, tokenizer: Any, record: TrimRecord, roles: Roles, out: Path) -> tuple[Any, float]:
    """Save everything in a folder that appears complete, if the saved model gives the same logits. → the saved model, the difference."""
    kept_ids, kind = record.kept_ids, full.config.model_type
    windows = windows_of(kept_ids, roles, min(_WINDOW, longest_window(full) or _WINDOW))
    columns = torch.from_numpy(kept_ids)
    expected = [logits_TV[:, columns] for logits_TV in window_logits(full, windows, roles.pad)]
    found: list[tuple[Any, float]] = []

    def fill(fresh: Path) -> None:
        trimmed = trim_model(full, kept_ids)
        save_model(trimmed.to(dtype) if dtype in (torch.float16, torch.bfloat16) else trimmed, fresh)
        save_tokenizer(tokenizer, fresh)
        write_trim(fresh, record)
        assert (read_trim(fresh).kept_ids == kept_ids).all()
        saved, new_ids = load_model(fresh).float(), {old: new for new, old in enumerate(kept_ids.tolist())}
        renumbered = [kept_ids.searchsorted(window) for window in windows]
        found.append((saved, check_logits(expected, window_logits(saved, renumbered, new_ids[roles.pad]), kind)))

    replace_folder(out, fill)
    return found[0]


def _files(corpora: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """The files of each language."""
    if not corpora:
        raise InputError("found no corpus; expected at least one: name the languages to keep, as --corpus de=FILES")
    files = {
        language: [file for pattern in patterns for file in require_files(pattern, f"--corpus {language}")]
        for language, patterns in corpora.items()
    }
    every = [file for found in files.values() for file in found]
    if twice := [file for file in every if every.count(file) > 1]:
        raise InputError(f"--corpus: found {twice[0]} twice; expected each file once: name it for one language")
    return files
