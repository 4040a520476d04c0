"""`evaluate lm`: how well models know languages, without a task: per byte and per character, so that tokenizers do not matter."""

from collections.abc import Mapping, Sequence

from data.recipe import Precision
from data.table import Column, Table, Value
from student.hardware import open_accelerator
from student.tasks.judged import judged_models
from student.tasks.language_modelling import sample_languages, score_language
from student.tasks.models import check_reading, masked_lm
from student.tasks.reading import Tokens


def evaluate_language(
    models: Sequence[str],
    teachers: Sequence[tuple[str, str]],
    texts: Mapping[str, Sequence[str]],
    *,
    tokens: Tokens | None,
    route: Mapping[str, str],
    count: int,
    characters: int,
    max_length: int,
    precision: Precision,
) -> Table:
    """A row for each language and model. texts: patterns of article shards by language.

    Raises InputError for models and files that are not there, and for a model without room for max_length tokens.
    """
    found = sample_languages(texts, count, characters)
    judged = judged_models(models, teachers, [*found], tokens, route, option="--text")
    for one in judged:
        model = masked_lm(one.folder, max_length)
        for language in one.languages:
            check_reading(one.folder, model, one.reader(language), max_length)
    rows: list[list[Value]] = []
    for one in judged:
        model = masked_lm(one.folder, max_length).to(open_accelerator().device)
        for language in one.languages:
            score = score_language(
                model,
                one.reader(language),
                found[language],
                max_length=max_length,
                precision=precision,
                what=f"lm, {one.name}, {language}",
            )
            rows.append(
                [
                    language,
                    one.name,
                    score.loss_per_byte,
                    score.perplexity_per_character,
                    score.characters,
                    score.pieces,
                    score.unknown / max(1, score.pieces),
                ]
            )
    columns = [
        Column("language"),
        Column("model"),
        Column("loss per byte", ".4f"),
        Column("perplexity per character", ".3f"),
        Column("characters", ",d"),
        Column("pieces", ",d"),
        Column("unknown", ".2%"),
    ]
    notes = [
        "Loss per byte: of 15% masked pieces, nats / UTF-8 bytes. Pseudo-perplexity: PLL-word-l2r, per character. Lower is better in both.",
        "An unknown piece is cheap to guess, so do not compare models whose shares of them differ much.",
    ]
    return Table(
        title="Masked language modelling on the same texts",
        columns=columns,
        rows=sorted(rows, key=lambda row: str(row[0])),
        notes=notes,
    )
