"""The student's tokenizer: WordPiece, longest match over the union vocabulary, as an HF fast tokenizer."""

import json
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

from vocab.normaliser import Normaliser
from vocab.pieces import CONTINUATION
from vocab.roles import SPECIAL_TOKENS, UNION_ROLES
from vocab.union import Union

# Longest word, in characters; longer ones become unk. BERT has 100. If punctuation does not split words, a complete sentence of a
# script without spaces is one word.
LONGEST_WORD = 100
LONGEST_UNSPLIT = 1000


def student_tokenizer(union: Union, normaliser: Normaliser, max_length: int, keep: NDArray[np.bool_] | None = None) -> Any:
    """The tokenizer over the union: its ids are union ids, its special tokens SPECIAL_TOKENS, its sequences [CLS] … [SEP].

    keep [V]: the pieces that a restricted tokenizer can find (all by default). Ids and the size of the vocabulary do not change: the
    other pieces are replaced by names with a space, which no text can contain.
    """
    from transformers import PreTrainedTokenizerFast

    kept = np.ones(union.size, np.bool_) if keep is None else keep | (np.arange(union.size) < len(SPECIAL_TOKENS))
    form = "" if normaliser.state or not normaliser.decomposes else normaliser.unicode_form
    vocabulary: dict[str, int] = {}
    for index, piece in enumerate(union.pieces):
        spelled = unicodedata.normalize(form, piece) if form else piece  # type: ignore[arg-type]
        found = kept[index] and (index < len(SPECIAL_TOKENS) or spelled not in vocabulary)
        vocabulary[spelled if found else f"[unused {index}]"] = index
    backend = Tokenizer(
        models.WordPiece(
            vocab=vocabulary,
            unk_token=SPECIAL_TOKENS["unk"],
            continuing_subword_prefix=CONTINUATION,
            max_input_chars_per_word=LONGEST_WORD if normaliser.split_punctuation else LONGEST_UNSPLIT,
        )
    )
    backend.normalizer = normaliser.backend()
    split = pre_tokenizers.BertPreTokenizer if normaliser.split_punctuation else pre_tokenizers.WhitespaceSplit
    backend.pre_tokenizer = split()
    cls, sep = SPECIAL_TOKENS["cls"], SPECIAL_TOKENS["sep"]
    backend.post_processor = processors.TemplateProcessing(
        single=f"{cls} $A {sep}",
        pair=f"{cls} $A {sep} $B:1 {sep}:1",
        special_tokens=[(cls, UNION_ROLES.cls), (sep, UNION_ROLES.sep)],
    )
    backend.decoder = decoders.WordPiece(prefix=CONTINUATION)
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        model_max_length=max_length,
        **{f"{role}_token": token for role, token in SPECIAL_TOKENS.items()},
    )


def save_tokenizer(tokenizer: Any, folder: Path) -> None:
    """Write a fast tokenizer so that transformers 4 opens it too: with names of the class and of further special tokens that both know."""
    tokenizer.save_pretrained(folder)
    path = folder / "tokenizer_config.json"
    content = json.loads(path.read_text(encoding="utf-8")) | {"tokenizer_class": "PreTrainedTokenizerFast"}
    if "extra_special_tokens" in content:
        content["additional_special_tokens"] = content.pop("extra_special_tokens")
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
