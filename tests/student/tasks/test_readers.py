"""Files of the tasks: what is read, and every kind of bad file refused with its place."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from student.tasks.read_pairs import PAWSX_LABELS, XNLI_LABELS, Pair, read_pairs
from student.tasks.read_questions import read_questions
from student.tasks.read_tags import read_columns, read_conllu, read_panx
from vocab.errors import InputError


def conllu(*rows: str) -> str:
    """Rows "id form tag" as lines of ten columns."""
    return "".join("\t".join([*row.split(" ")[:2], "_", row.split(" ")[2], *"______"]) + "\n" for row in rows)


TREEBANK = (
    "# sent_id = 1\n"
    + conllu("1 Sie PRON", "2 geht VERB", "3-4 zum _", "3 zu ADP", "4 dem DET", "5 Ufer NOUN", "5.1 wo ADV", "6 . PUNCT")
    + "\n# sent_id = 2\n"
    + conllu("1-2 dámelo _", "1 da VERB", "2 melo PRON")
    + "\n"
    + conllu("1 _ X", "2 _ X")
)


def write(file: Path, text: str) -> Path:
    if file.suffix == ".gz":
        file.write_bytes(gzip.compress(text.encode()))
    else:
        file.write_text(text, encoding="utf-8")
    return file


@pytest.mark.parametrize("name", ["t.conllu", "t.conllu.gz"])
def test_two_conventions_of_words(tmp_path: Path, name: str) -> None:
    file = write(tmp_path / name, TREEBANK)
    fused, syntactic = read_conllu(file), read_conllu(file, words="syntactic")
    assert [sentence.words for sentence in fused] == [("Sie", "geht", "zum", "Ufer", "."), ("dámelo",)]
    assert [sentence.tags for sentence in fused] == [("PRON", "VERB", "ADP", "NOUN", "PUNCT"), ("VERB",)]
    assert [sentence.words for sentence in syntactic] == [("Sie", "geht", "zu", "dem", "Ufer", "."), ("da", "melo")]
    assert len(syntactic) == 2  # a sentence whose text is not free is none


def test_hidden_characters_of_a_word(tmp_path: Path) -> None:
    file = write(tmp_path / "t.conllu", conllu("1 a\u00a0b NOUN", "2 ک\u200cت NOUN"))
    assert read_conllu(file)[0].words == ("ab", "کت")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1\tSie\tPRON\n", "line 1: found 3 columns; expected the 10 of CoNLL-U"),
        (conllu("1 Sie PRON", "3 geht VERB"), "line 2: found the id 3; expected 2"),
        (conllu("x Sie PRON"), "line 1: found the id x"),
        (conllu("1-3 zum _", "1 zu ADP", "2 dem DET"), "inside a range that ends with 3"),
        ("# nothing\n\n", "found no sentence"),
    ],
)
def test_bad_treebanks(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        read_conllu(write(tmp_path / "t.conllu", text))


def test_panx_with_and_without_languages(tmp_path: Path) -> None:
    text = "de:Anton\tB-PER\nde:12:30\tO\nde:Berlin\n\nde:Bonn\tB-LOC"
    sentences = read_panx(write(tmp_path / "a.tsv", text))
    assert [(sentence.words, sentence.tags) for sentence in sentences] == [
        (("Anton", "12:30", "Berlin"), ("B-PER", "O", "O")),
        (("Bonn",), ("B-LOC",)),
    ]
    plain = read_panx(write(tmp_path / "b.tsv.gz", text.replace("de:", "")))
    assert plain == sentences
    with pytest.raises(InputError, match="line 3: found no 'de:' before the word"):
        read_panx(write(tmp_path / "c.tsv", text.replace("de:Berlin", "Berlin")))


def test_columns(tmp_path: Path) -> None:
    text = "-DOCSTART- -X- O O\n\nEU NNP B-NP B-ORG\nrejects VBZ B-VP O\n\n"
    assert read_columns(write(tmp_path / "a.txt", text))[0].tags == ("B-ORG", "O")
    numbered = "0\tKatja\tB-PER\n1\tKipping\tI-PER\n"
    assert read_columns(write(tmp_path / "b.txt", numbered), word=1)[0].words == ("Katja", "Kipping")
    with pytest.raises(InputError, match="line 1: found the tag 'PER'; expected O, B-TYPE or I-TYPE"):
        read_columns(write(tmp_path / "c.txt", "Katja PER\n"))
    with pytest.raises(InputError, match="line 1: found 2 columns; expected the columns 5 and -1"):
        read_columns(write(tmp_path / "d.txt", "Katja O\n"), word=5)


def test_pairs(tmp_path: Path) -> None:
    file = write(tmp_path / "a.tsv", "Er kam.\tEr ging.\tcontradictory\nA\tB\tneutral\n")
    assert read_pairs(file, XNLI_LABELS) == [Pair("Er kam.", "Er ging.", "contradiction"), Pair("A", "B", "neutral")]
    file = write(tmp_path / "b.tsv.gz", "id\tsentence1\tsentence2\tlabel\n7\tA\tB\t1\n8\tC\tD\t0\n")
    assert read_pairs(file, PAWSX_LABELS) == [Pair("A", "B", "1"), Pair("C", "D", "0")]
    labels = write(tmp_path / "labels.txt", "neutral\nentailment\n")
    file = write(tmp_path / "c.tsv", "A\tB\nC\tD\n")
    assert [pair.label for pair in read_pairs(file, XNLI_LABELS, label_file=labels)] == ["neutral", "entailment"]


@pytest.mark.parametrize(
    ("text", "labels", "reason"),
    [
        ("A\tB\n", None, "line 1: found 2 columns; expected two texts and a label"),
        ("A\tB\tmaybe\n", None, "line 1: found the label 'maybe'; expected one of contradiction, entailment, neutral"),
        ("A\tB\tneutral\nC\tD\tyes\n", None, "line 2: found the label 'yes'"),
        ("\n", None, "found no pair"),
        ("A\tB\n", "neutral\nneutral\n", "found 2 labels for the 1 pairs"),
        ("A\tB\n", "yes\n", "labels.txt, line 1: found the label 'yes'"),
    ],
)
def test_bad_pairs(tmp_path: Path, text: str, labels: str | None, reason: str) -> None:
    label_file = None if labels is None else write(tmp_path / "labels.txt", labels)
    with pytest.raises(InputError, match=reason):
        read_pairs(write(tmp_path / "a.tsv", text), XNLI_LABELS, label_file=label_file)


def squad(*entries: dict[str, Any]) -> dict[str, Any]:
    return {"data": [{"paragraphs": [{"context": "Bonn liegt am Rhein.", "qas": list(entries)}]}]}


def entry(number: str = "1", text: str = "Rhein", start: Any = 14) -> dict[str, Any]:
    return {"id": number, "question": "Wo?", "answers": [{"text": text, "answer_start": start}]}


def test_a_number_sign_is_a_word_where_it_has_a_tag(tmp_path: Path) -> None:
    file = write(tmp_path / "a.tsv", "#\tO\n重\tB-LOC\n\n#\n\n")
    assert [sentence.words for sentence in read_panx(file)] == [("#", "重"), ("#",)]
    file = write(tmp_path / "a.conll", "# id 7 domain=news\n# O\nBonn B-LOC\n\n-DOCSTART- -X- O\n\nRhein B-LOC\n\n")
    assert [sentence.words for sentence in read_columns(file)] == [("#", "Bonn"), ("Rhein",)]


def test_questions(tmp_path: Path) -> None:
    file = write(tmp_path / "q.json.gz", json.dumps(squad(entry(), entry("2", "Bonn", 0))))
    first, second = read_questions(file)
    assert (first.answers, first.starts, second.answers) == (("Rhein",), (14,), ("Bonn",))
    twice = write(tmp_path / "t.json", json.dumps(squad(entry(), entry())))
    assert len(read_questions(twice, unique_ids=False)) == 2


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('{"data": [', "cannot be read"),
        ("[" * 100_000, "cannot be read"),
        ("{}", "the file has no list 'data'"),
        ('{"data": []}', "found no question"),
        ('{"data": [{"paragraphs": [{"qas": []}]}]}', r"data\[0\].paragraphs\[0\] has no text 'context'"),
        (json.dumps(squad(entry(), entry())), "the question id '1' is there twice"),
        (json.dumps(squad(entry(start=3))), r"qas\[0\]: the answer 'Rhein' is not at its place 3 in the context"),
        (json.dumps(squad(entry(start=None))), "is not at its place None"),
        (json.dumps(squad(entry(start=-6))), "is not at its place -6"),
        (json.dumps(squad(entry(text="", start=0))), "all answers empty"),
    ],
)
def test_bad_questions(tmp_path: Path, content: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        read_questions(write(tmp_path / "q.json", content))


@pytest.mark.parametrize("read", [read_conllu, read_panx, read_columns, read_questions])
def test_files_that_are_no_text(tmp_path: Path, read: Any) -> None:
    (tmp_path / "a").write_bytes(b"a\tO\n\xff\xfe\n")
    (tmp_path / "b.gz").write_bytes(gzip.compress(b"a\tO\n")[:-6])
    for name in ("a", "b.gz", "none"):
        with pytest.raises(InputError, match=name):
            read(tmp_path / name)
