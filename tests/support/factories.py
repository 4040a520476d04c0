"""Small real things for tests: article shards, teachers with their own vocabularies, recipes. Nothing is mocked."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import AutoModelForMaskedLM, BertConfig, PreTrainedTokenizerFast

from data.articles import SCHEMA
from data.recipe import Recipe
from data.recipe_file import parse_recipe

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
TEXTS = {
    "en": ["The river flows through the city .", "A river is longer than a stream .", "The city lies on the river bank ."],
    "de": ["Der Fluss fließt durch die Stadt .", "Ein Fluss ist länger als ein Bach .", "Die Stadt liegt am Ufer des Flusses ."],
}


def article_shard(path: Path, texts: Sequence[str], *, rows_per_group: int = 1000, ids: Sequence[str] | None = None) -> Path:
    """An article shard of the given texts."""
    ids = [f"{path.stem}-{index}" for index in range(len(texts))] if ids is None else list(ids)
    table = pa.table({"id": ids, "url": [""] * len(texts), "title": ids, "text": list(texts)}, schema=SCHEMA)
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, row_group_size=rows_per_group)
    return path


def articles(language: str, count: int) -> list[str]:
    """`count` different articles of a language, of different lengths."""
    texts = TEXTS[language]
    return [" ".join(texts[(index + step) % 3] for step in range(1 + index % 5)) for index in range(count)]


def word_pieces(texts: Sequence[str]) -> list[str]:
    """A WordPiece vocabulary: all words of the texts, and their letters as beginnings and continuations."""
    words = sorted({word for text in texts for word in text.split()})
    letters = sorted({letter for word in words for letter in word})
    return [*words, *(letter for letter in letters if letter not in words), *("##" + letter for letter in letters)]


def save_tokenizer(folder: Path, pieces: Sequence[str], special: Mapping[str, str] | None = None) -> Any:
    """A WordPiece tokenizer whose ids are the places in `pieces`, which must hold the special tokens, wherever they stand."""
    roles = special or dict(zip(("pad", "unk", "cls", "sep", "mask"), SPECIAL, strict=True))
    vocab = {piece: index for index, piece in enumerate(pieces)}
    backend = Tokenizer(models.WordPiece(vocab=vocab, unk_token=roles["unk"]))
    backend.normalizer = normalizers.BertNormalizer(lowercase=False)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, **{f"{role}_token": token for role, token in roles.items()})
    tokenizer.save_pretrained(folder)
    return tokenizer


def save_teacher(
    folder: Path,
    pieces: Sequence[str],
    *,
    head_rows: int | None = None,
    seed: int = 0,
    positions: int = 64,
    layers: int = 1,
    spread: float = 0.5,
) -> Path:
    """A real BERT masked LM with random weights, and its tokenizer."""
    tokenizer = save_tokenizer(folder, pieces)
    config = BertConfig(
        vocab_size=head_rows or len(pieces),
        hidden_size=32,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=positions,
        pad_token_id=tokenizer.pad_token_id,
        initializer_range=spread,  # 0.5: far from uniform, so that top-k has something to rank
    )
    torch.manual_seed(seed)
    AutoModelForMaskedLM.from_config(config).save_pretrained(folder)
    return folder


def two_language_recipe(folder: Path, *, articles_each: int = 40, rows_per_group: int = 10, **overrides: Any) -> Recipe:
    """Two teachers with overlapping vocabularies, their special tokens at different ids, and two shards a language."""
    for language in ("en", "de"):
        half = articles_each // 2
        for part in range(2):
            texts = articles(language, articles_each)[part * half : (part + 1) * half]
            article_shard(folder / f"corpora/{language}/part{part}.parquet", texts, rows_per_group=rows_per_group)
    save_teacher(folder / "teachers/en", [*SPECIAL, *word_pieces(TEXTS["en"])], seed=1)
    save_teacher(folder / "teachers/de", ["[MASK]", "[unused1]", *word_pieces(TEXTS["de"]), *SPECIAL[:4]], head_rows=120, seed=2)
    content: dict[str, Any] = {
        "name": "two",
        "teachers": [
            {"name": "bert-en", "model": "teachers/en", "languages": ["en"]},
            {"name": "bert-de", "model": "teachers/de", "languages": ["de"]},
        ],
        "corpora": {"en": "corpora/en/*.parquet", "de": "corpora/de/*.parquet"},
        "examples": {"max_length": 24},
        "predict": {"top_k": 4, "dtype": "float32", "unit_articles": 10, "tokens_per_batch": 256},
        "student": {"architecture": "roformer", "layers": 1, "hidden_size": 32, "heads": 2},
        "train": {
            "steps": 4,
            "tokens_per_batch": 512,
            "warmup_steps": 1,
            "learning_rate": 1e-3,
            "log_steps": 1,
            "precision": "float32",
        },
    }
    return parse_recipe(content | overrides, folder=folder)
