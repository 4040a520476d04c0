"""Files of tagged sentences: CoNLL-U treebanks, and named entities as PAN-X or CoNLL columns have them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from student.tasks.text_file import read_lines, wrong
from vocab.errors import InputError

Words: TypeAlias = Literal["fused", "syntactic"]

# The tag of a fused word is the first of these that one of its parts has (XTREME's order).
_PRECEDENCE = (
    *("VERB", "NOUN", "PROPN", "PRON", "ADJ", "NUM", "ADV", "INTJ", "AUX"),
    *("ADP", "DET", "PART", "CCONJ", "SCONJ", "X", "PUNCT", "SYM"),
)
_HIDDEN = str.maketrans("", "", " \u00a0\u200c")  # white space inside a word, and the zero-width non-joiner


@dataclass(frozen=True, slots=True)
class Sentence:
    """Words and their tags, as many of each, at least one."""

    words: tuple[str, ...]
    tags: tuple[str, ...]


def read_conllu(file: Path, *, words: Words = "fused") -> list[Sentence]:
    """The part-of-speech tags (UPOS) of a CoNLL-U file.

    fused      XTREME's words: a range as "vom" is one word, with the most content-bearing tag of its parts
    syntactic  CoNLL's words: the parts of a range

    Empty nodes (8.1) are no words. The two conventions give different numbers of words, so name the one that was used beside a score.
    Raises InputError with file and line for lines without ten columns, and for ids that do not follow each other.
    """
    sentences, rows = list[Sentence](), list[tuple[int, list[str]]]()
    for number, line in _with_end(file):
        if line.startswith("#"):
            continue
        if line.strip():
            columns = line.split("\t")
            if len(columns) != 10:
                raise wrong(file, number, f"{len(columns)} columns", "the 10 of CoNLL-U, with tabs between them")
            rows.append((number, columns))
        elif rows:
            sentences += _sentence(file, rows, words)
            rows = []
    return _not_empty(file, sentences)


def _sentence(file: Path, rows: list[tuple[int, list[str]]], words: Words) -> Iterator[Sentence]:
    forms: list[str] = []
    tags: list[str] = []
    parts: list[str] | None = None  # tags of the parts of a fused word
    expected = last = 0
    for number, columns in rows:
        index, form, tag = columns[0], columns[1].translate(_HIDDEN), columns[3]
        if "." in index:
            continue
        first, _, end = index.partition("-")
        if not first.isdecimal() or (end and not end.isdecimal()) or int(first) != expected + 1:
            raise wrong(file, number, f"the id {index}", f"{expected + 1}, a range from it, or an empty node")
        if end:
            last = int(end)
            if words == "fused":
                forms.append(form)
                parts = []
            continue
        expected = int(first)
        if parts is not None and expected <= last:
            parts.append(tag)
            if expected == last:
                tags.append(min(parts, key=_rank))
                parts = None
        else:
            forms.append(form)
            tags.append(tag)
    if parts is not None:
        raise wrong(file, rows[-1][0], f"the end of a sentence inside a range that ends with {last}", "all words of the range")
    kept = [(form, tag) for form, tag in zip(forms, tags, strict=True) if form]
    if any(form != "_" for form, _ in kept):  # a treebank whose text is not free has only _
        yield Sentence(tuple(form for form, _ in kept), tuple(tag for _, tag in kept))


def _rank(tag: str) -> int:
    return _PRECEDENCE.index(tag) if tag in _PRECEDENCE else len(_PRECEDENCE)


def read_entities(file: Path) -> list[Sentence]:
    """A file of named entities in whichever form it has: WikiANN's .conllu, PAN-X's two columns with a tab, or CoNLL's columns."""
    if file.name.removesuffix(".gz").endswith(".conllu"):
        return read_columns(file, word=1)
    first = next((line for _, line in read_lines(file) if line.strip() and not line.startswith(("# ", "-DOCSTART-"))), "")
    return read_panx(file) if first.count("\t") == 1 or len(first.split()) == 1 else read_columns(file)


def read_panx(file: Path) -> list[Sentence]:
    """Named entities of PAN-X: lines "de:Wort<TAB>B-ORG" or "Wort<TAB>B-ORG", an empty line between sentences; without a tag, O.

    Words contain colons too. So a language is taken off only where it is before the first colon of every line; of most lines is an
    InputError.
    """
    starts = [(number, line.partition(":")[0]) for number, line in read_lines(file) if line.strip()]
    language = starts[0][1] if starts and starts[0][1].isalpha() else ""
    same = sum(start == language for _, start in starts)
    if language and 2 * same > len(starts) > same:
        number, _ = next(one for one in starts if one[1] != language)
        raise wrong(file, number, f"no '{language}:' before the word", "it, as in most lines of this file")
    shift = len(language) + 1 if language and same == len(starts) else 0

    def word_and_tag(_: int, columns: list[str]) -> tuple[str, str]:
        return columns[0][shift:], columns[-1] if len(columns) > 1 else "O"

    return _read_columns(file, "\t", word_and_tag, comments=False)


def read_columns(file: Path, *, word: int = 0, tag: int = -1) -> list[Sentence]:
    """Named entities of CoNLL's columns, or WikiANN in CoNLL-U: the columns of word and tag by number, the last one is −1."""

    def word_and_tag(number: int, columns: list[str]) -> tuple[str, str]:
        try:
            return columns[word], columns[tag]
        except IndexError:
            raise wrong(file, number, f"{len(columns)} columns", f"the columns {word} and {tag}") from None

    return _read_columns(file, None, word_and_tag, comments=True)


def _read_columns(
    file: Path, separator: str | None, word_and_tag: Callable[[int, list[str]], tuple[str, str]], *, comments: bool
) -> list[Sentence]:
    """Sentences of a file with a word a line. A tag that is not O, B-TYPE or I-TYPE is an InputError."""
    sentences, pairs = [], list[tuple[str, str]]()
    for number, line in _with_end(file):
        columns = line.split(separator)
        if comments and not pairs and (line.startswith("-DOCSTART-") or (line.startswith("#") and not _is_tag(columns[-1]))):
            continue  # "#" with a tag is a word
        if columns and line.strip():
            found, tag = word_and_tag(number, columns)
            if not _is_tag(tag):
                raise wrong(file, number, f"the tag '{tag}'", "O, B-TYPE or I-TYPE")
            pairs.append((found, tag))
        elif pairs:
            sentences.append(Sentence(tuple(found for found, _ in pairs), tuple(tag for _, tag in pairs)))
            pairs = []
    return _not_empty(file, sentences)


def _is_tag(text: str) -> bool:
    return text == "O" or (text[:2] in ("B-", "I-") and len(text) > 2)


def _with_end(file: Path) -> Iterator[tuple[int, str]]:
    """The lines, and an empty one behind the last: a file may end without it."""
    number = 0
    for number, line in read_lines(file):
        yield number, line
    yield number + 1, ""


def _not_empty(file: Path, sentences: list[Sentence]) -> list[Sentence]:
    if not sentences:
        raise InputError(f"{file}: found no sentence; expected words with tags, a word a line")
    return sentences
