"""The ids of single words, in the three ways in which a student can read them, and as a teacher reads them itself."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

from student.tasks.word_windows import WordIds
from vocab.errors import InputError
from vocab.routed import load_routed

Tokens: TypeAlias = Literal["union", "restricted", "routed"]


def student_words(student: Path, tokens: Tokens, *, vocabulary: Path | None = None, teacher: str | None = None) -> WordIds:
    """How a student reads words.

    union       the tokenizer of its folder
    restricted  the tokenizer in its folder restricted/, of only the pieces that training showed
    routed      the tokenizer of the language's own teacher, whose ids are mapped; needs RUN/vocab and the name of the teacher

    Raises InputError for a tokenizer that is not there.
    """
    if tokens == "routed":
        if vocabulary is None or teacher is None:
            raise InputError("routed tokens need the run's vocabulary and the teacher of the language; expected both")
        routed = load_routed(vocabulary, teacher)
        return lambda words: [segmentation.ids.tolist() for segmentation in routed(words)]
    folder = student if tokens == "union" else student / "restricted"
    if not (folder / "tokenizer.json").is_file():
        advice = (
            "run `mergedistill vocab --report` and train again" if tokens == "restricted" else "expected the folder of a student"
        )
        raise InputError(f"{folder / 'tokenizer.json'}: no such file: {advice}")
    from tokenizers import Tokenizer

    return backend_words(Tokenizer.from_file(str(folder / "tokenizer.json")))


def backend_words(backend: Any) -> WordIds:
    """How a fast tokenizer's backend reads words: each as given, and as the beginning of a word.

    A quoted special token, such as "[MASK]", is text.
    """
    backend.no_truncation()
    backend.no_padding()

    def ids_of(words: Sequence[str]) -> list[list[int]]:
        backend.encode_special_tokens = True
        return [
            encoding.ids
            for encoding in backend.encode_batch([[word] for word in words], is_pretokenized=True, add_special_tokens=False)
        ]

    return ids_of
