"""The student's tokenizer: WordPiece, longest match over the union vocabulary, as an HF fast tokenizer."""

from collections.abc import Sequence
from typing import Any

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from vocab.roles import SPECIAL_TOKENS, UNION_ROLES
from vocab.teacher_vocabulary import CONTINUATION, Normaliser
from vocab.union import Union


def student_normaliser(teachers: Sequence[Normaliser]) -> Normaliser:
    """The normaliser that loses nothing a teacher keeps: it lowers case or strips accents only if every teacher does."""
    return Normaliser(
        lowercase=all(teacher.lowercase for teacher in teachers),
        strip_accents=all(teacher.strip_accents for teacher in teachers),
        split_chinese=any(teacher.split_chinese for teacher in teachers),
        clean_text=any(teacher.clean_text for teacher in teachers),
    )


def student_tokenizer(union: Union, normaliser: Normaliser, max_length: int) -> Any:
    """The tokenizer over the union: ids are union ids; roles as SPECIAL_TOKENS. Sequences are [CLS] … [SEP]."""
    from transformers import PreTrainedTokenizerFast

    vocabulary = {piece: index for index, piece in enumerate(union.pieces)}
    backend = Tokenizer(models.WordPiece(vocab=vocabulary, unk_token=SPECIAL_TOKENS["unk"], continuing_subword_prefix=CONTINUATION))
    backend.normalizer = normalizers.BertNormalizer(
        clean_text=normaliser.clean_text,
        handle_chinese_chars=normaliser.split_chinese,
        strip_accents=normaliser.strip_accents,
        lowercase=normaliser.lowercase,
    )
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
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
