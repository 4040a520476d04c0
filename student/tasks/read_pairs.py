"""Files of sentence pairs with a label: XNLI and PAWS-X, with the labels in the file or in one of their own."""

from dataclasses import dataclass
from pathlib import Path

from student.tasks.text_file import read_lines, wrong
from vocab.errors import InputError

XNLI_LABELS = ("contradiction", "entailment", "neutral")
PAWSX_LABELS = ("0", "1")
_SPELLINGS = {"contradictory": "contradiction"}  # of XNLI's training file


@dataclass(frozen=True, slots=True)
class Pair:
    """Two texts and their label."""

    first: str
    second: str
    label: str


def read_pairs(file: Path, labels: tuple[str, ...], *, label_file: Path | None = None, header: bool | None = None) -> list[Pair]:
    """Pairs of a file of tabs: first text, second text, label.

    labels      the legal ones
    label_file  a label a line, in the order of the pairs, if the file has none; for XNLI's and PAWS-X's test sets
    header      whether the first line names the columns; None: it does if its last column is no label

    PAWS-X's files begin with a number, which is not read. Raises InputError with file and line for missing columns and unknown labels, and
    for files of different lengths.
    """
    rows = [(number, line.split("\t")) for number, line in read_lines(file) if line.strip()]
    given = None if label_file is None else [(number, line.strip()) for number, line in read_lines(label_file) if line.strip()]
    if header is None:
        header = given is None and len(rows) > 1 and [_label(columns[-1]) in labels for _, columns in rows[:2]] == [False, True]
    rows = rows[1:] if header else rows
    if not rows:
        raise InputError(f"{file}: found no pair; expected two texts and a label a line, with tabs between them")
    if given is not None and len(given) != len(rows):
        raise InputError(f"{label_file}: found {len(given):,} labels for the {len(rows):,} pairs of {file}; expected one each")
    pairs = []
    for index, (number, columns) in enumerate(rows):
        texts = 2 if given is not None else 3
        if len(columns) not in (texts, texts + 1):
            wanted = "two texts" if given is not None else "two texts and a label"
            raise wrong(file, number, f"{len(columns)} columns", f"{wanted}, with tabs between them")
        texts_at = len(columns) - texts
        where, place, label = (file, number, columns[-1]) if given is None else (label_file or file, *given[index])
        if _label(label) not in labels:
            raise wrong(where, place, f"the label '{label}'", f"one of {', '.join(labels)}")
        pairs.append(Pair(columns[texts_at], columns[texts_at + 1], _label(label)))
    return pairs


def _label(text: str) -> str:
    return _SPELLINGS.get(text.strip(), text.strip())
