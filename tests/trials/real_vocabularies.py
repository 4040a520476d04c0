"""Published vocabularies and real text through the union: sizes with every difference explained, and the round trip.

    python -m tests.trials.real_vocabularies VOCABULARIES TEXT

VOCABULARIES holds vocab.txt files in folders, and SentencePiece .model files; TEXT a folder a language of WikiExtractor files (.gz).
"""

import gzip
import re
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from vocab.families import family
from vocab.pieces import spell
from vocab.roles import UNION_ROLES
from vocab.teacher_vocabulary import TeacherVocabulary, vocabulary_of
from vocab.tokenizer_source import open_tokenizer
from vocab.union import merge_all

SETS = {
    "cased ∪ multilingual ∪ chinese ∪ BETO": [
        "bert-base-cased",
        "bert-base-multilingual-cased",
        "bert-base-chinese",
        "beto-cased",
    ],
    "the same ∪ uncased": [
        "bert-base-cased",
        "bert-base-multilingual-cased",
        "bert-base-chinese",
        "beto-cased",
        "bert-base-uncased",
    ],
}


def sentences(folder: Path, count: int) -> list[str]:
    found: list[str] = []
    for file in sorted(folder.glob("*.gz")):
        lines = gzip.decompress(file.read_bytes()).decode("utf-8").splitlines()
        for line in lines:
            if line.strip() and not line.startswith("<"):
                found += [part for part in re.split(r"(?<=[.!?。！？؟])\s*", line.strip()) if part]
        if len(found) >= count:
            break
    return found[:count]


def with_roles(tokenizer: Any) -> Any:
    """A bare SentencePiece model has no pad and no mask; a teacher made of it would."""
    tokenizer.add_special_tokens({"pad_token": "<pad>", "mask_token": "<mask>"})
    return tokenizer


def byte_level(texts: list[str], size: int) -> Any:
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    backend.decoder = decoders.ByteLevel()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    backend.train_from_iterator(texts, trainer)
    roles = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>", "mask_token": "<mask>"}
    return PreTrainedTokenizerFast(tokenizer_object=backend, **roles)


def metaspace_bpe(texts: list[str], size: int) -> Any:
    backend = Tokenizer(models.BPE(unk_token="<unk>"))
    backend.normalizer = normalizers.NFKC()
    backend.pre_tokenizer, backend.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=special, limit_alphabet=6000, show_progress=False)
    backend.train_from_iterator(texts, trainer)
    roles = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>", "mask_token": "<mask>"}
    return PreTrainedTokenizerFast(tokenizer_object=backend, **roles)


def print_sizes(vocabularies: Path) -> None:
    print("| set | distinct lines of the files | − special | − placeholders | + roles | union | pieces of it | s |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for name, members in SETS.items():
        lines = {
            line for member in members for line in (vocabularies / member / "vocab.txt").read_bytes().decode().split("\n") if line
        }
        clock = time.perf_counter()
        teachers = [vocabulary_of(open_tokenizer(vocabularies / member / "vocab.txt", member), member) for member in members]
        union, _ = merge_all(teachers)
        seconds = time.perf_counter() - clock
        gone = lines - set(union.pieces)
        special = {line for line in lines if line in set(union.pieces[:5])}
        placeholders = {line for line in gone if line.startswith("[unused")}
        respelled = [piece for piece in union.pieces[5:] if piece not in lines]  # a line each: white space that a line cannot hold
        assert len(gone - placeholders) == len(respelled), (gone - placeholders, respelled)
        assert len(lines) - len(special) - len(placeholders) + 5 == union.size
        print(
            f"| {name} | {len(lines):,} | {len(special)} | {len(placeholders)} | 5 | {union.size:,} | {union.size - 5:,} | {seconds:.2f} |"
        )
        print(f"|   spelled in hexadecimal: {respelled} | | | | | | | |")


def print_round_trip(vocabularies: Path, text: Path) -> None:
    print("\n| tokenizer | family | normaliser | language | sentences | tokens | that come back | through unk |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    texts = {folder.name: sentences(folder, 10_000) for folder in sorted(text.iterdir())}
    sources = {path.parent.name: open_tokenizer(path, path.parent.name) for path in sorted(vocabularies.glob("*/vocab.txt"))}
    sources |= {path.name: with_roles(open_tokenizer(path, path.name)) for path in sorted(vocabularies.glob("*/*.model"))}
    sources["byte-level BPE, 16k"] = byte_level([line for lines in texts.values() for line in lines], 16_000)
    sources["SentencePiece-style BPE, 16k"] = metaspace_bpe([line for lines in texts.values() for line in lines], 16_000)
    teachers = [vocabulary_of(tokenizer, name) for name, tokenizer in sources.items()]
    union, maps = merge_all(teachers)
    for teacher, teacher_map in zip(teachers, maps, strict=True):
        for own, shared in zip(teacher.roles, UNION_ROLES, strict=True):
            assert teacher_map.union_ids[own] == shared
        for language, lines in texts.items():
            print_one(teacher, teacher_map.union_ids, union.pieces, language, lines)
    print(f"\nunion of all: {union.size:,} pieces")
    ids = np.random.default_rng(0).integers(0, len(maps[0].union_ids), 20_000_000)
    clock = time.perf_counter()
    np.take(maps[0].union_ids, ids)
    print(f"mapping: {20 / (time.perf_counter() - clock):.0f} M ids/s")


def print_one(teacher: TeacherVocabulary, union_ids: Any, pieces: tuple[str, ...], language: str, lines: list[str]) -> None:
    import json

    canonical = family(json.loads(teacher.tokenizer.to_str()), teacher.name)[1]
    total = back = unknown = 0
    for encoding in teacher.tokenizer.encode_batch(lines, add_special_tokens=False):
        for token, index in zip(encoding.tokens, encoding.ids, strict=True):
            total += 1
            if index == teacher.roles.unk:
                unknown += 1
                assert union_ids[index] == UNION_ROLES.unk
            else:
                back += pieces[union_ids[index]] == spell(canonical(token))
    assert total == back + unknown, (teacher.name, language, total, back, unknown)
    print(
        f"| {teacher.name} | {teacher.family} | {teacher.normaliser.describe()} | {language} | {len(lines):,} | {total:,} | {back:,} "
        f"| {unknown:,} |"
    )


if __name__ == "__main__":
    print_sizes(Path(sys.argv[1]))
    print_round_trip(Path(sys.argv[1]), Path(sys.argv[2]))
