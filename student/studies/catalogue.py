"""What all studies share: the teachers, and the files of the tasks."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from data.storage import require_files
from vocab.errors import InputError

LANGUAGES = ("ar", "de", "en", "zh")


@dataclass(frozen=True, kw_only=True)
class TeacherKind:
    """A teacher of the studies: RoFormer, WordPiece, gold labels."""

    languages: tuple[str, ...]
    vocab_size: int
    layers: int
    steps: int  # of TOKENS tokens


TOKENS = 4096  # of an optimizer step, padding included
WIDTH = 128
# Four teachers of one language; a broad one of all languages with few pieces for each, as mBERT; a specialist of two, as MuRIL.
TEACHERS = {
    **{language: TeacherKind(languages=(language,), vocab_size=8000, layers=2, steps=3800) for language in LANGUAGES},
    "broad": TeacherKind(languages=LANGUAGES, vocab_size=8000, layers=4, steps=5000),
    "specialist": TeacherKind(languages=("ar", "zh"), vocab_size=12_000, layers=2, steps=4600),
}


@dataclass(frozen=True, kw_only=True)
class TaskFiles:
    """The files of one task in one language, as patterns below the folder of tasks."""

    train: tuple[str, ...]  # none: only for zero-shot
    test: tuple[str, ...]
    epochs: float


# Universal Dependencies for udpos; PAN-X and WikiANN for ner. Small training sets have more epochs.
TASKS: Mapping[str, Mapping[str, TaskFiles]] = {
    "udpos": {
        "ar": TaskFiles(train=(), test=("ud/ar_pud-ud-test*.conllu*",), epochs=0),
        "de": TaskFiles(
            train=("ud/de_gsd-ud-dev*.conllu*", "ud/de_lit-ud-test*.conllu*"), test=("ud/de_gsd-ud-test*.conllu*",), epochs=4
        ),
        "en": TaskFiles(train=("ud/en_ewt-ud-train*.conllu*",), test=("ud/en_ewt-ud-test*.conllu*",), epochs=2),
        "zh": TaskFiles(train=("ud/zh_gsdsimp-ud-dev*.conllu*",), test=("ud/zh_gsdsimp-ud-test*.conllu*",), epochs=12),
    },
    "ner": {
        "ar": TaskFiles(train=("ner/panx/train-ar.*",), test=("ner/panx/dev-ar.*",), epochs=0.5),
        "de": TaskFiles(train=("ner/panx/train-de.*",), test=("ner/wikiann-labelled-test/de.test.*",), epochs=0.5),
        "en": TaskFiles(train=("ner/panx/train-en.*",), test=("ner/wikiann-labelled-test/en.test.*",), epochs=0.5),
        "zh": TaskFiles(train=("ner/panx/train-zh.*",), test=("ner/panx/dev-zh.*",), epochs=0.5),
    },
}
FINE_TUNING_RATE = "1e-3"  # XTREME's 2e-5 is for models of 100 million parameters


def teacher_folder(name: str, percent: int = 100) -> str:
    """Where a teacher is, in the work folder."""
    return f"teachers/{name}" if percent == 100 else f"teachers/{name}-{percent}"


def named_teacher(folder: str) -> tuple[str, int]:
    """(name, percent of its steps) of a teacher's folder, as teachers/en or teachers/en-50."""
    name, _, percent = Path(folder).name.partition("-")
    return name, int(percent or 100)


def text_files(text: Path, language: str) -> list[Path]:
    """The files of a language, in the order of their names. Raises InputError for fewer than two."""
    found = sorted(file for file in (text / language).glob("*") if file.is_file() and not file.name.startswith("."))
    if len(found) < 2:
        raise InputError(
            f"{text / language}: found {len(found)} files; expected two or more with the text of {language} (dumps, WikiExtractor "
            "output, Parquet), some for teachers and others for students: see --text"
        )
    return found


def task_file(tasks: Path | None, pattern: str) -> Path:
    """The one file of a pattern below the folder of tasks. Raises InputError if there is none, or more than one."""
    if tasks is None:
        raise InputError(f"this study needs --tasks FOLDER, with {pattern} in it")
    found = require_files(str(tasks / pattern), "task files (see --tasks)")
    if len(found) > 1:
        raise InputError(f"{tasks / pattern}: found {len(found)} files ({', '.join(map(str, found[:3]))}); expected one")
    return Path(found[0])
