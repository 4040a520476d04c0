"""Every family's tokens become canonical pieces and come back; sources, roles and normalisers are read as they are declared."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import normalizers
from transformers import AutoTokenizer, BertConfig

from tests.support.factories import SPECIAL, TEXTS, save_tokenizer, word_pieces
from tests.support.families import save_family_teacher, train_tokenizer
from vocab.errors import InputError
from vocab.families import family
from vocab.normaliser import FORMAT_CHARACTERS, Normaliser, observe, student_normaliser
from vocab.pieces import Piece, is_hexadecimal, parse, spell
from vocab.roles import UNION_ROLES
from vocab.teacher_vocabulary import read_teacher, vocabulary_of
from vocab.tokenizer_source import open_tokenizer
from vocab.union import merge_all
from vocab.vocab_txt import read_vocab_txt

TEXT = [*TEXTS["de"], *TEXTS["en"], "Ein Haus, das Haus: 中文 größer 🙂."]
KINDS = ("unigram", "bpe", "bpe-bytes", "byte-level")


@given(
    st.one_of(st.text(), st.binary(), st.sampled_from(["##", "###", "[MASK]", "", " ", "\n", "<bytes 20>", "##a"])), st.booleans()
)
def test_a_spelling_is_a_pieces_own_and_a_line(content: str | bytes, begins_word: bool) -> None:
    piece = Piece.from_bytes(content, begins_word) if isinstance(content, bytes) else Piece(content, begins_word)
    assert parse(spell(piece)) == piece
    assert "\n" not in spell(piece)
    assert len(spell(piece).split()) == (
        2 if is_hexadecimal(spell(piece)) and len(spell(piece).split()) == 2 else len(spell(piece).split())
    )


def test_families_meet_in_canonical_pieces() -> None:
    states = {
        "wordpiece": {"model": {"type": "WordPiece", "continuing_subword_prefix": "##"}},
        "unigram": {"model": {"type": "Unigram"}, "pre_tokenizer": {"type": "Metaspace", "replacement": "▁"}},
        "byte-level": {"model": {"type": "BPE"}, "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "ByteLevel"}]}},
        "fallback": {"model": {"type": "BPE", "byte_fallback": True}, "normalizer": {"content": "▁"}},
    }
    read = {name: family(state, name)[1] for name, state in states.items()}  # type: ignore[arg-type]
    assert {spell(read["wordpiece"]("Haus")), spell(read["unigram"]("▁Haus")), spell(read["byte-level"]("ĠHaus"))} == {"Haus"}
    assert {spell(read["wordpiece"]("##ung")), spell(read["unigram"]("ung")), spell(read["byte-level"]("ung"))} == {"##ung"}
    assert spell(read["byte-level"]("ĠgrÃ¶ÃŁer")) == "größer"
    assert spell(read["byte-level"]("Ã")) == spell(read["fallback"]("<0xC3>")) == "##<bytes C3>"
    assert spell(read["fallback"]("<0x41>")) == "##A"
    assert spell(read["unigram"]("<0xC3>")) == "##<0xC3>"  # without byte fallback these are six characters
    assert spell(read["unigram"]("▁")) == spell(read["byte-level"]("Ġ")) == "<bytes >"
    assert spell(read["byte-level"]("Ċ")) == "##<bytes 0A>"
    assert spell(read["unigram"]("▁##x")) == "<bytes 23 23 78>"
    assert spell(read["unigram"]("▁[MASK]")) != "[MASK]"


@pytest.mark.parametrize("kind", KINDS)
def test_a_trained_tokenizers_tokens_come_back(kind: str, tmp_path: Path) -> None:
    save_family_teacher(tmp_path / "t", kind, TEXT)
    teacher = read_teacher(tmp_path / "t", "t")
    wordpiece = vocabulary_of(save_tokenizer(tmp_path / "w", [*SPECIAL, *word_pieces(TEXTS["de"])]), "w")
    union, maps = merge_all([wordpiece, teacher])
    canonical = family(json.loads(teacher.tokenizer.to_str()), "t")[1]
    for text in (*TEXT, "größte Bäche 🙃"):
        encoding = teacher.tokenizer.encode(text)
        assert [union.pieces[maps[1].union_ids[index]] for index in encoding.ids[1:-1]] == [
            "[UNK]" if index == teacher.roles.unk else spell(canonical(token))
            for token, index in zip(encoding.tokens[1:-1], encoding.ids[1:-1], strict=True)
        ]
        assert [maps[1].union_ids[encoding.ids[place]] for place in (0, -1)] == [UNION_ROLES.cls, UNION_ROLES.sep]
    assert [maps[1].union_ids[own] for own in teacher.roles] == list(UNION_ROLES)
    accounting = teacher.accounting
    assert accounting.special == 5
    assert accounting.rows == accounting.pieces + accounting.special + accounting.placeholders + accounting.surplus
    shared = set(wordpiece.pieces) & set(teacher.pieces) - {None}
    assert union.size == 5 + len(set(wordpiece.pieces) | set(teacher.pieces)) - 1
    assert kind == "byte-level" or shared  # the letters of the text, at least


def test_normalisers_are_observed_and_the_student_loses_nothing() -> None:
    class Backend:
        def __init__(self, normalizer: object) -> None:
            self.normalizer = normalizer

    def seen(normalizer: object, punctuation: bool = False) -> Normaliser:
        return observe(Backend(normalizer), split_punctuation=punctuation)

    keeps = Normaliser(
        lowercase=False,
        strip_accents=False,
        split_chinese=False,
        clean_text=False,
        unicode_form="",
        split_punctuation=False,
        kept=FORMAT_CHARACTERS,
    )
    cased = seen(normalizers.BertNormalizer(lowercase=False), True)
    uncased = seen(normalizers.BertNormalizer(lowercase=True), True)
    albert = seen(normalizers.Sequence([normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase()]))
    assert seen(None) == keeps
    assert [seen(getattr(normalizers, form)()).unicode_form for form in ("NFC", "NFD", "NFKC", "NFKD")] == [
        "NFC",
        "NFD",
        "NFKC",
        "NFKD",
    ]
    assert (cased.lowercase, cased.split_chinese, cased.clean_text, cased.unicode_form) == (False, True, True, "")
    assert (uncased.lowercase, uncased.strip_accents, uncased.unicode_form) == (True, True, "")
    assert (albert.lowercase, albert.strip_accents, "K" in albert.unicode_form) == (True, True, True)
    assert uncased.loses(cased) == ["upper case", "accents"]
    nfc, nfkc = seen(normalizers.NFC()), seen(normalizers.NFKC())
    assert student_normaliser([nfc, nfkc]).unicode_form == "NFC"
    assert student_normaliser([nfkc, cased]).unicode_form == ""
    assert not student_normaliser([uncased, nfkc]).lowercase
    assert student_normaliser([uncased, nfkc]).split_punctuation
    assert not student_normaliser([nfc, nfkc]).split_punctuation


def test_a_bare_vocab_txt_keeps_case_if_it_has_case(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text("\n".join(["[MASK]", "[PAD]", "[UNK]", "[CLS]", "[SEP]", "Haus", "haus", "é"]))
    BertConfig(vocab_size=8).save_pretrained(tmp_path)
    assert AutoTokenizer.from_pretrained(tmp_path).tokenize("Haus") == ["haus"]  # the trap: transformers lower-cases by default
    for source in (tmp_path, tmp_path / "vocab.txt"):
        tokenizer = open_tokenizer(source, "t")
        assert tokenizer.tokenize("Haus é") == ["Haus", "é"]
        assert (tokenizer.mask_token_id, tokenizer.pad_token_id) == (0, 1)
        assert tokenizer("Haus")["input_ids"] == [3, 5, 4]
    (tmp_path / "vocab.txt").write_text("\n".join([*SPECIAL, "haus", "e"]))
    assert open_tokenizer(tmp_path / "vocab.txt", "t").tokenize("Haus É") == ["haus", "e"]


def test_bad_vocabularies(tmp_path: Path) -> None:
    path = tmp_path / "vocab.txt"
    for content, message in (
        (b"[UNK]\na\n\xed\xa0\x80\n", "line 3 is not UTF-8"),
        (b"", "is empty"),
    ):
        path.write_bytes(content)
        with pytest.raises(InputError, match=message):
            read_vocab_txt(path, "t")
    path.write_bytes("[UNK]\r\na\r\nb\u2028\r\n".encode())
    assert read_vocab_txt(path, "t") == ["[UNK]", "a", "b\u2028"]
    (tmp_path / "x").mkdir()
    save_tokenizer(tmp_path / "x", [*SPECIAL, "a"])
    text = (tmp_path / "x/tokenizer.json").read_text()
    assert '"a"' in text
    (tmp_path / "x/tokenizer.json").write_text(text.replace('"a"', '"\\ud800"'))
    with pytest.raises(InputError, match="half a character"):
        open_tokenizer(tmp_path / "x", "t")
    (tmp_path / "bad.model").write_bytes(b"no model")
    with pytest.raises(InputError, match="cannot be read as a SentencePiece model"):
        open_tokenizer(tmp_path / "bad.model", "t")
    with pytest.raises(InputError, match="no such file"):
        open_tokenizer(tmp_path / "none.json", "t")
    tokenizer = train_tokenizer("bpe", TEXT)
    tokenizer.pad_token = "<unk>"
    with pytest.raises(InputError, match=r"declares the token id \d+ as pad and as unk"):
        vocabulary_of(tokenizer, "t")


def test_families_that_cannot_be_merged_are_refused() -> None:
    for model, found in (
        ({"type": "BPE", "end_of_word_suffix": "</w>"}, "BPE with the marks"),
        ({"type": "Unigram"}, "Unigram"),
    ):
        with pytest.raises(InputError, match=f"teacher 't': its tokenizer is {found}"):
            family({"model": model}, "t")


def test_a_tokenizer_json_is_obeyed(tmp_path: Path) -> None:
    """transformers' own classes would take only its vocabulary, and lower-case what the file keeps."""
    save_tokenizer(tmp_path, [*SPECIAL, "Haus", "haus", "für", "fur"])
    config = json.loads((tmp_path / "tokenizer_config.json").read_text())
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({**config, "tokenizer_class": "BertTokenizer"}))
    BertConfig(vocab_size=9).save_pretrained(tmp_path)
    for source in (tmp_path, tmp_path / "tokenizer.json"):
        assert open_tokenizer(source, "t").tokenize("Haus für") == ["Haus", "für"]
    (tmp_path / "tokenizer_config.json").write_text("[1]")
    with pytest.raises(InputError, match="expected a JSON object"):
        open_tokenizer(tmp_path, "t")
    for content in ("[]", "null", '{"model": null}', '{"model": {"vocab": [1]}}', "{"):
        (tmp_path / "tokenizer.json").write_text(content)
        with pytest.raises(InputError, match=r"damaged one|is not JSON"):
            open_tokenizer(tmp_path / "tokenizer.json", "t")


def test_a_bare_vocab_txt_keeps_scripts_without_case(tmp_path: Path) -> None:
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join([*SPECIAL, "대한민국", "서울은", "für"]))
    assert open_tokenizer(path, "t").tokenize("대한민국 서울은 Für") == ["대한민국", "서울은", "für"]


def test_added_tokens_are_words_in_every_family() -> None:
    for kind in KINDS:
        tokenizer = train_tokenizer(kind, TEXT)
        tokenizer.add_tokens(["für", "Covid"])
        assert vocabulary_of(tokenizer, "t").pieces[-2:] == ["für", "Covid"]


def test_a_token_id_twice_is_refused(tmp_path: Path) -> None:
    save_tokenizer(tmp_path, [*SPECIAL, "haus", "baum"])
    path = tmp_path / "tokenizer.json"
    path.write_text(path.read_text().replace('"baum": 6', '"baum": 5'))
    with pytest.raises(InputError, match="'5' is twice in the vocabulary"):
        open_tokenizer(path, "t")
