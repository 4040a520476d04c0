"""Reads a vocab.txt: BERT's WordPiece, unless a class, a file or its pieces say that it belongs to another tokenizer."""

import unicodedata
from pathlib import Path
from typing import Any

from vocab.errors import InputError
from vocab.model_source import UTF8, read_json
from vocab.notices import say_once
from vocab.roles import SPECIAL_TOKENS

# The classes whose vocab.txt is BERT's WordPiece, without "Tokenizer".
BERT_KIN = {"Bert", "DistilBert", "Electra", "MobileBert", "ConvBert", "Funnel", "LayoutLM", "MPNet", "SqueezeBert", "Lxmert"}
_GENERIC = {"PreTrained", "PreTrainedTokenizer", "TokenizersBackend"}
_OTHER_FILES = ("bpe.codes", "merges.txt", "vocab.json")


def read_vocab_txt(path: Path, name: str) -> list[str]:
    """The tokens of a vocab.txt, one on each line. The id of a token is its line. Windows line ends are accepted.

    Empty lines at the end are no tokens. Published vocabularies hold a token twice, or an empty line: as in transformers, the later id
    is the token's, and the row of the other id is without a piece. How many such rows there are is said.
    """
    where = f"teacher '{name}': {path}"
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise InputError(f"{where}: line {line} is not UTF-8 ({error.reason}); {UTF8}") from None
    tokens = text.split("\n")  # not splitlines(): a token may contain other characters that Unicode defines as line ends
    if len(tokens) > 1 and all(token.endswith("\r") for token in tokens[:-1]):
        tokens = [token.removesuffix("\r") for token in tokens]
    while tokens and not tokens[-1]:
        tokens.pop()
    if not tokens:
        raise InputError(f"{where}: is empty; expected a token on each line")
    last = {token: line for line, token in enumerate(tokens, start=1)}
    hidden = [line for line, token in enumerate(tokens, start=1) if token and last[token] != line]
    empty = [line for line, token in enumerate(tokens, start=1) if not token]
    if hidden or empty:
        said = [
            f"{len(lines)} {what} (the first is line {lines[0]})"
            for lines, what in ((hidden, "hold a token that a later line holds too"), (empty, "are empty"))
            if lines
        ]
        say_once(f"{where}: of its {len(tokens):,} lines, {' and '.join(said)}: their ids are rows without a piece")
    return tokens


def other_class(folder: Path, tokens: list[str], name: str) -> str:
    """The class that a vocab.txt belongs to, if it is not BERT's WordPiece: as declared, or by the files and pieces; else nothing."""
    declared = str(
        read_json(folder, name).get("tokenizer_class") or read_json(folder, name, "config.json").get("tokenizer_class") or ""
    )
    if declared and kin(declared) not in BERT_KIN | _GENERIC:
        return declared
    beside = [path.name for path in sorted(folder.iterdir()) if path.name in _OTHER_FILES or path.suffix in (".model", ".codes")]
    if beside:
        return f"a tokenizer with {beside[0]}"
    if sum(token.startswith("▁") for token in tokens) > len(tokens) / 10:
        return "a tokenizer that marks words with ▁"
    return ""


def kin(tokenizer_class: str) -> str:
    """The name of a tokenizer's class without its ending: "Bert" of BertTokenizerFast."""
    return tokenizer_class.removesuffix("Fast").removesuffix("Tokenizer")


def of_vocab_txt(path: Path, name: str) -> Any:
    """BERT's WordPiece. It lower-cases if the vocabulary has (almost) no capital letters, and strips accents if it also has no accents.

    A tokenizer_config.json next to it comes first.
    """
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    tokens = read_vocab_txt(path, name)
    if other := other_class(path.parent, tokens, name):
        raise InputError(
            f"teacher '{name}': {path} belongs to {other}; expected BERT's WordPiece in a single vocab.txt: give the "
            "folder, or a tokenizer.json"
        )
    # A lower-cased vocabulary may have a few capital letters that lower-casing does not change; a cased one has thousands.
    capitals = sum(any(unicodedata.category(char) == "Lu" for char in token) for token in tokens if not token.startswith("["))
    cased = capitals > len(tokens) / 1000
    vocabulary = {token: index for index, token in enumerate(tokens) if token}  # of a token that is there twice, the later id
    config = read_json(path.parent, name)
    marked = sum(_stripped(token) != token for token in tokens if not token.startswith("["))
    declared = {role: config.get(f"{role}_token", string) for role, string in SPECIAL_TOKENS.items()}
    roles = {role: str(token["content"] if isinstance(token, dict) else token) for role, token in declared.items()}
    special = set(roles.values())
    backend = Tokenizer(models.WordPiece(vocab=vocabulary, unk_token=roles["unk"]))
    strip = config.get("strip_accents")
    lowercase = bool(config.get("do_lower_case", not cased))
    backend.normalizer = normalizers.BertNormalizer(
        lowercase=lowercase,
        strip_accents=(lowercase and marked <= len(tokens) / 1000) if strip is None else bool(strip),
        handle_chinese_chars=bool(config.get("tokenize_chinese_chars", True)),
    )
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.decoder = decoders.WordPiece()
    cls, sep = roles["cls"], roles["sep"]
    if cls in vocabulary and sep in vocabulary:
        backend.post_processor = processors.TemplateProcessing(
            single=f"{cls} $A {sep}",
            pair=f"{cls} $A {sep} $B:1 {sep}:1",
            special_tokens=[(cls, vocabulary[cls]), (sep, vocabulary[sep])],
        )
    backend.add_special_tokens([token for token in tokens if token in special])
    held = {f"{role}_token": token for role, token in roles.items() if token in vocabulary}
    return PreTrainedTokenizerFast(tokenizer_object=backend, **held)


def _stripped(token: str) -> str:
    """The text without accents, as BERT strips them: decompose, then remove the marks."""
    return "".join(char for char in unicodedata.normalize("NFD", token) if unicodedata.category(char) != "Mn")
