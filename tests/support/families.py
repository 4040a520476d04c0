"""Real tokenizers of every family, trained on a text, and masked LMs that have them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoModelForMaskedLM, PreTrainedTokenizerFast, RobertaConfig

ROLES = {"pad_token": "<pad>", "unk_token": "<unk>", "cls_token": "<s>", "sep_token": "</s>", "mask_token": "<mask>"}
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]  # RoBERTa's order


def train_tokenizer(kind: str, texts: Sequence[str], size: int = 400) -> Any:
    """kind: unigram, bpe, bpe-bytes (▁ with byte fallback) or byte-level."""
    trainer: Any
    if kind == "unigram":
        backend = Tokenizer(models.Unigram())
        backend.normalizer = normalizers.NFKC()
        trainer = trainers.UnigramTrainer(vocab_size=size, special_tokens=SPECIAL, unk_token="<unk>", show_progress=False)
    elif kind == "byte-level":
        backend = Tokenizer(models.BPE())
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False)
    else:
        backend = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=kind == "bpe-bytes"))
        bytes_ = [f"<0x{byte:02X}>" for byte in range(256)] if kind == "bpe-bytes" else []
        trainer = trainers.BpeTrainer(vocab_size=size + len(bytes_), special_tokens=[*SPECIAL, *bytes_], show_progress=False)
    if kind == "byte-level":
        backend.pre_tokenizer, backend.decoder = pre_tokenizers.ByteLevel(add_prefix_space=True), decoders.ByteLevel()
    else:
        backend.pre_tokenizer, backend.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    backend.train_from_iterator(texts, trainer)
    if kind == "bpe-bytes":  # bytes are ordinary tokens: declared special for the trainer's sake alone
        state = json.loads(backend.to_str())
        state["added_tokens"] = [token for token in state["added_tokens"] if token["content"] in SPECIAL]
        backend = Tokenizer.from_str(json.dumps(state))
    ids = {token: backend.token_to_id(token) for token in ("<s>", "</s>")}
    backend.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=list(ids.items()))
    return PreTrainedTokenizerFast(tokenizer_object=backend, **ROLES)


def save_family_teacher(folder: Path, kind: str, texts: Sequence[str], *, seed: int = 0, size: int = 400) -> Path:
    """A RoBERTa masked LM with random weights, and its tokenizer."""
    tokenizer = train_tokenizer(kind, texts, size)
    tokenizer.save_pretrained(folder)
    config = RobertaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=66,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.cls_token_id,
        eos_token_id=tokenizer.sep_token_id,
        initializer_range=0.5,
    )
    torch.manual_seed(seed)
    AutoModelForMaskedLM.from_config(config).save_pretrained(folder)
    return folder
