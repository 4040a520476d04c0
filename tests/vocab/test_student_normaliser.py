"""The student reads a text as its teachers do: one normaliser that all share, or a form that all their pieces are found in."""

from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from tests.support.factories import SPECIAL
from vocab.agreement import hf_segmenter
from vocab.normaliser import student_normaliser
from vocab.reading import Reading, compare_reading
from vocab.routed import RoutedTokenizer
from vocab.student_tokenizer import save_tokenizer, student_tokenizer
from vocab.teacher_vocabulary import vocabulary_of
from vocab.tokenizer_source import open_tokenizer
from vocab.union import Union, merge

NFD, NFC, NFKC = normalizers.NFD, normalizers.NFC, normalizers.NFKC
NMT = lambda: normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC()])  # noqa: E731


def bert(lowercase: bool) -> Any:
    return normalizers.BertNormalizer(lowercase=lowercase)


def teacher(name: str, normalizer: Any, words: list[str]) -> Any:
    """A WordPiece teacher whose pieces are the words as its own normaliser leaves them."""
    pieces = dict.fromkeys(
        [*SPECIAL, *(piece for word in words for piece in (normalizer.normalize_str(word) if normalizer else word).split())]
    )
    backend = Tokenizer(models.WordPiece({piece: index for index, piece in enumerate(pieces)}, unk_token="[UNK]"))
    backend.normalizer, backend.pre_tokenizer = normalizer, pre_tokenizers.BertPreTokenizer()
    roles = {f"{role}_token": token for role, token in zip(("pad", "unk", "cls", "sep", "mask"), SPECIAL, strict=True)}
    return vocabulary_of(PreTrainedTokenizerFast(tokenizer_object=backend, **roles), name)


def student(*teachers: Any) -> Any:
    union = Union()
    for one in teachers:
        union, _ = merge(union, one)
    return student_tokenizer(union, student_normaliser([one.normaliser for one in teachers]), 64)


KOREAN, ENGLISH, PERSIAN = ["대한민국", "서울은", "각"], ["The", "café", "naïve", "Haus"], ["می\u200cخواهم", "خانه"]
PAIRS = [
    ("Hangul that one decomposes", (bert(True), KOREAN), (bert(False), ENGLISH)),
    ("NFD beside NFC", (NFD(), ["café", "naïve"]), (NFC(), ["größer", "für"])),
    ("NFD beside nothing", (NFD(), [*KOREAN, "é"]), (None, ["größer", "für"])),
    ("NFKD beside NFKC", (normalizers.NFKD(), ["ﬁn", "é"]), (NFKC(), ["größer", "ﬂug"])),
    ("NFC beside a cased BERT", (NFC(), ["für"]), (bert(False), ENGLISH)),
    ("two of one kind", (bert(True), KOREAN), (bert(True), ENGLISH)),
    ("Nmt beside a BERT", (NMT(), PERSIAN), (bert(False), ENGLISH)),
    ("Nmt alone", (NMT(), PERSIAN), (NMT(), ["für"])),
]


@pytest.mark.parametrize(("first", "second"), [pair[1:] for pair in PAIRS], ids=[pair[0] for pair in PAIRS])
def test_a_word_that_its_teacher_knows_is_known_to_the_student(first: tuple[Any, list[str]], second: tuple[Any, list[str]]) -> None:
    """Except for what the teacher itself throws away: upper case, and accents beside a teacher that keeps them."""
    made = [(teacher("a", *first), first[1]), (teacher("b", *second), second[1])]
    tokenizer = student(made[0][0], made[1][0])
    for one, words in made:
        assert one.tokenizer.encode(" ".join(words), add_special_tokens=False).tokens.count("[UNK]") == 0
        tokens = tokenizer.tokenize(" ".join(words))
        assert "[UNK]" not in tokens


def test_a_teacher_without_accents_leaves_the_others_theirs() -> None:
    """Decomposed, "für" would be "fu" and an accent for which there is no piece."""
    cased = teacher("b", bert(False), ["f", "fu", "für", "##ür"])
    tokenizer = student(teacher("a", bert(True), ["fur", "haus"]), cased)
    assert tokenizer.tokenize("für") == cased.tokenizer.encode("für", add_special_tokens=False).tokens == ["für"]
    assert not student_normaliser([teacher("a", bert(True), ["fur"]).normaliser, cased.normaliser]).decomposes


def test_the_same_ids_for_composed_and_decomposed_text() -> None:
    tokenizer = student(teacher("a", NFD(), ["café"]), teacher("b", NFC(), ["für"]))
    assert tokenizer.tokenize("caf\u00e9 fu\u0308r") == tokenizer.tokenize("cafe\u0301 f\u00fcr")


def test_format_characters_are_kept_deleted_or_spaces() -> None:
    spaced, deleted, kept = (teacher(name, one, ["x"]).normaliser for name, one in (("a", NMT()), ("b", bert(False)), ("c", None)))
    assert "\u200c" in spaced.spaced
    assert "\u200c" not in deleted.spaced + deleted.kept
    assert "\u200c" in kept.kept
    assert "\u200c" in student_normaliser([spaced, deleted]).spaced
    assert "\u200c" in student_normaliser([spaced, kept]).kept


def turkish(*more: Any) -> Any:
    return normalizers.Sequence([*more, normalizers.Replace("I", "ı"), normalizers.Replace("İ", "i"), normalizers.Lowercase()])


def test_single_letters_become_what_all_teachers_make_of_them() -> None:
    """ "I" is no capital "i" in Turkish. The two normalisers differ, but not in this."""
    two = teacher("a", turkish(NFC()), ["ısı"]), teacher("b", turkish(), ["iz"])
    assert two[0].normaliser.letters == two[1].normaliser.letters == {"I": "ı", "İ": "i"}
    assert student(*two).tokenize("ISI İZ") == ["ısı", "iz"]
    english = teacher("c", normalizers.Lowercase(), ["it"])
    assert english.normaliser.letters == {}
    assert student(*two, english).tokenize("IT ISI") == ["it", "[UNK]"]  # no common form: vocab says what it costs


def reading(one: Any, *others: Any, text: str) -> Reading:
    """What the student of some teachers reads otherwise than the first."""
    union, first = merge(Union(), one)
    for other in others:
        union, _ = merge(union, other)
    normaliser = student_normaliser([teacher.normaliser for teacher in (one, *others)])
    return compare_reading(
        "xx",
        one.name,
        [text],
        own=one.normaliser,
        student=normaliser,
        routed=RoutedTokenizer(one.tokenizer, first),
        union=hf_segmenter(student_tokenizer(union, normaliser, 64)),
    )


def test_the_words_that_a_difference_costs_are_counted() -> None:
    uncased = teacher("a", bert(True), ["the", "cafe", "of", "."])
    found = reading(uncased, teacher("b", bert(False), ["Haus"]), text="The café of the café .")
    assert (found.words, found.otherwise, found.unknown) == (6, 3 / 6, 3 / 6)  # The, café twice
    assert (found.read_otherwise, found.not_known) == (("café", "The"), ("café", "The"))
    assert "of 6 words" in found.describe()
    found = reading(teacher("a", turkish(NFC()), ["ısı", "iz"]), teacher("b", normalizers.Lowercase(), ["it"]), text="ISI iz iz iz")
    assert (found.otherwise, found.unknown) == (1 / 4, 1 / 4)
    decomposing = teacher("a", NFD(), ["café", "##s"])
    found = reading(decomposing, teacher("b", NFC(), ["für"]), text="café cafés")
    assert (found.otherwise, found.unknown) == (0, 0)
    composed = teacher("b", NFC(), ["caf", "##é", "cafe"])  # the student finds "cafe", and no piece for the accent
    found = reading(composed, teacher("a", NFD(), ["für"]), text="café cafe cafe cafe")
    assert (found.otherwise, found.unknown) == (0, 1 / 4)
    spaced = teacher("a", NMT(), PERSIAN)
    found = reading(spaced, teacher("b", None, ["x"]), text="می\u200cخواهم خانه")
    assert (found.words, found.otherwise, found.unknown) == (2, 1 / 2, 1 / 2)  # a joiner that the other keeps


def test_a_shared_normaliser_is_taken_over_and_saved(tmp_path: Path) -> None:
    fold = normalizers.Sequence(
        [normalizers.Replace("``", '"'), normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase()]
    )
    tokenizer = student(teacher("a", fold, ["café"]), teacher("b", fold, ["für"]))
    normal = tokenizer.backend_tokenizer.normalizer.normalize_str
    assert normal("``CAFÉ ﬁ") == '"cafe fi'
    save_tokenizer(tokenizer, tmp_path)
    assert open_tokenizer(tmp_path, "s").backend_tokenizer.normalizer.normalize_str("``CAFÉ ﬁ") == '"cafe fi'
