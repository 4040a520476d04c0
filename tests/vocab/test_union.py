"""The union vocabulary: append-only, roles merged by role, maps total, fingerprints a chain; and its folder."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer, GPT2Config

from data.atomic import replace_folder
from tests.support.factories import SPECIAL, save_teacher, save_tokenizer
from vocab.errors import InputError
from vocab.folder import build_vocabulary, load_map, load_union
from vocab.model_source import model_folder
from vocab.normaliser import Normaliser, student_normaliser
from vocab.pieces import Piece
from vocab.roles import SPECIAL_TOKENS, UNION_ROLES, Roles
from vocab.teacher_vocabulary import Accounting, TeacherVocabulary, canonical_pieces, read_teacher
from vocab.union import Union, merge, merge_all

PLAIN = Normaliser(lowercase=False, strip_accents=False, split_chinese=True, clean_text=True)


def vocabulary(name: str, pieces: list[str | None], roles: Roles | None = None) -> TeacherVocabulary:
    """A teacher whose special tokens follow its pieces."""
    count = len(pieces)
    roles = roles or Roles(pad=count, unk=count + 1, cls=count + 2, sep=count + 3, mask=count + 4)
    return TeacherVocabulary(
        name=name,
        pieces=[*pieces, *[None] * 5],
        roles=roles,
        normaliser=PLAIN,
        tokenizer_fingerprint=f"of {name}",
        family="WordPiece",
        accounting=Accounting(rows=count + 5, pieces=count, merged=0, special=5, placeholders=0, surplus=0),
    )


pieces_lists = st.lists(st.lists(st.text(min_size=1, max_size=3), unique=True, max_size=12), min_size=1, max_size=4)


@given(pieces_lists)
def test_union_is_append_only_and_maps_are_total_and_injective(lists: list[list[str]]) -> None:
    teachers = [vocabulary(f"t{index}", list(pieces)) for index, pieces in enumerate(lists)]
    union, maps = merge_all(teachers)
    for count in range(len(teachers) + 1):
        prefix, _ = merge_all(teachers[:count])
        assert union.pieces[: prefix.size] == prefix.pieces
        assert union.begins_with(prefix)
    for teacher, teacher_map in zip(teachers, maps, strict=True):
        assert len(teacher_map.union_ids) == len(teacher.pieces)
        assert teacher_map.union_ids.max() < union.link(teacher.name).size
        predictable = teacher_map.union_ids[teacher_map.predictable]
        assert len(set(predictable.tolist())) == len(predictable)
        assert [union.pieces[index] for index in predictable] == [piece for piece in teacher.pieces if piece is not None]
        assert [int(teacher_map.union_ids[own]) for own in teacher.roles] == list(UNION_ROLES)


@given(pieces_lists, pieces_lists)
def test_fingerprint_changes_with_content_or_order_and_not_otherwise(left: list[list[str]], right: list[list[str]]) -> None:
    def union_of(lists: list[list[str]], name: str) -> Union:
        return merge_all([vocabulary(f"{name}{index}", list(pieces)) for index, pieces in enumerate(lists)])[0]

    one, other, renamed = union_of(left, "a"), union_of(right, "a"), union_of(left, "b")
    added = [one.pieces[start.size : end.size] for start, end in _steps(left)]
    added_other = [other.pieces[start.size : end.size] for start, end in _steps(right)]
    assert (one.fingerprint == other.fingerprint) == (added == added_other)
    assert one.fingerprint == renamed.fingerprint


def _steps(lists: list[list[str]]) -> list[tuple[Union, Union]]:
    union, steps = Union(), []
    for index, pieces in enumerate(lists):
        grown, _ = merge(union, vocabulary(f"t{index}", list(pieces)))
        steps.append((union, grown))
        union = grown
    return steps


def test_special_tokens_merge_by_role_and_placeholders_take_no_row() -> None:
    def canonical(token: str) -> Piece:
        return Piece(token.removeprefix("##"), not token.startswith("##"))

    tokens = {"[MASK]": 0, "haus": 1, "##ung": 2, "[unused7]": 3, "@@x": 4, "[SEP]": 9}
    pieces, accounting = canonical_pieces(tokens, head_size=12, special_ids={0, 9}, canonical=canonical, name="t")
    assert pieces == [None, "haus", "##ung", None, "@@x", *[None] * 7]
    assert (accounting.pieces, accounting.special, accounting.placeholders, accounting.surplus) == (3, 2, 1, 6)
    with pytest.raises(InputError, match="token id 9 has no row in the model's head"):
        canonical_pieces(tokens, head_size=9, special_ids=set(), canonical=canonical, name="t")


def test_read_teacher_reads_roles_at_unusual_ids(tmp_path: Path) -> None:
    save_teacher(tmp_path / "t", ["[MASK]", "haus", "##e", *SPECIAL[:4]], head_rows=20)
    teacher = read_teacher(tmp_path / "t", "t")
    assert teacher.roles == Roles(pad=3, unk=4, cls=5, sep=6, mask=0)
    assert teacher.pieces == [None, "haus", "##e", *[None] * 17]
    assert teacher.normaliser.split_chinese
    assert not teacher.normaliser.lowercase


def test_folder_round_trip_and_growth(tmp_path: Path) -> None:
    one, two = vocabulary("one", ["a", "b"]), vocabulary("two", ["b", "c"])
    union, _ = build_vocabulary([one], tmp_path / "vocab", 64, replace_folder)
    grown, overlap = build_vocabulary([one, two], tmp_path / "vocab", 64, replace_folder)
    assert load_union(tmp_path / "vocab") == grown
    assert grown.begins_with(union)
    assert [(row.accounting.pieces, row.new) for row in overlap] == [(2, 2), (2, 1)]
    assert load_map(tmp_path / "vocab", "two").union_ids[:2].tolist() == [6, 7]
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "vocab/tokenizer")
    assert len(tokenizer) == grown.size
    assert tokenizer("a c")["input_ids"] == [2, 5, 7, 3]
    assert [getattr(tokenizer, f"{role}_token_id") for role in SPECIAL_TOKENS] == list(UNION_ROLES)
    with pytest.raises(InputError, match="made by another recipe: found the teachers one, two"):
        build_vocabulary([two, one], tmp_path / "vocab", 64, replace_folder)
    assert load_union(tmp_path / "vocab") == grown


def test_damaged_pieces_are_found(tmp_path: Path) -> None:
    build_vocabulary([vocabulary("one", ["a", "b"])], tmp_path / "vocab", 64, replace_folder)
    text = (tmp_path / "vocab/pieces.txt").read_text()
    (tmp_path / "vocab/pieces.txt").write_text(text.replace("b\n", "x\n"))
    with pytest.raises(InputError, match=r"pieces.txt is damaged"):
        load_union(tmp_path / "vocab")
    with pytest.raises(InputError, match="run `mergedistill vocab` first"):
        load_union(tmp_path / "nowhere")


def test_student_normaliser_keeps_what_any_teacher_keeps() -> None:
    uncased = Normaliser(lowercase=True, strip_accents=True, split_chinese=True, clean_text=True)
    assert student_normaliser([uncased, PLAIN]) == PLAIN
    assert student_normaliser([uncased]).lowercase


def test_a_teacher_must_be_a_masked_lm_with_a_mask_token(tmp_path: Path) -> None:
    pieces = [*SPECIAL, "a"]
    save_tokenizer(tmp_path / "causal", pieces)
    GPT2Config(vocab_size=6).save_pretrained(tmp_path / "causal")
    with pytest.raises(InputError, match=r"holds gpt2, which is not a masked LM"):
        read_teacher(tmp_path / "causal", "t")

    save_teacher(tmp_path / "maskless", pieces)
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        path = tmp_path / "maskless" / name
        if path.exists():
            content = json.loads(path.read_text())
            content.pop("mask_token", None)
            path.write_text(json.dumps(content))
    with pytest.raises(InputError, match="declares no mask token"):
        read_teacher(tmp_path / "maskless", "t")


def test_missing_teachers_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"teacher 'bert-de': model './teachers/de' is not a folder"):
        model_folder("./teachers/de", base=tmp_path, name="bert-de")
    with pytest.raises(InputError, match=r"not a folder .* and the Hub gave none"):
        model_folder("teachers/de", base=tmp_path, name="bert-de")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"holds no config.json"):
        model_folder("empty", base=tmp_path, name="bert-de")


def test_maps_are_compact(tmp_path: Path) -> None:
    build_vocabulary([vocabulary("one", ["a", None, "b"])], tmp_path / "vocab", 64, replace_folder)
    teacher_map = load_map(tmp_path / "vocab", "one")
    assert teacher_map.union_ids.dtype == np.uint32
    assert teacher_map.predictable.tolist() == [True, False, True, False, False, False, False, False]
    assert int(teacher_map.union_ids[1]) == UNION_ROLES.unk
