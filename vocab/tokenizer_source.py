"""Loads a tokenizer from an HF folder, a tokenizer.json, a vocab.txt or a SentencePiece model. The result is an HF fast tokenizer.

A single vocab.txt, tokenizer.json or .model declares no roles. Then the usual strings, listed below, give the roles, if the file has
them as special tokens. The declaration of a folder comes first.
"""

import json
import unicodedata
from pathlib import Path
from typing import Any

from vocab.errors import InputError, first_line
from vocab.notices import say_once
from vocab.roles import SPECIAL_TOKENS
from vocab.sentencepiece_source import FAMILIES, family_of, read_model

_CONVENTION = {
    "pad": ("[PAD]", "<pad>"),
    "unk": ("[UNK]", "<unk>"),
    "cls": ("[CLS]", "<s>"),
    "sep": ("[SEP]", "</s>"),
    "mask": ("[MASK]", "<mask>"),
}
_UTF8 = "expected UTF-8: convert it, or fetch it again"


def open_tokenizer(source: Path, name: str) -> Any:
    """The fast tokenizer (PreTrainedTokenizerFast) of a source, without truncation and padding. `name` is its owner, for messages.

    Raises InputError for a file that cannot be read, a tokenizer without a fast form, and a vocabulary with a token twice, an empty
    token, or half a character.
    """
    if source.is_dir():
        tokenizer = _folder(source, name)
    elif not source.is_file():
        raise InputError(
            f"teacher '{name}': tokenizer {source}: no such file or folder; expected a tokenizer.json, a vocab.txt, a SentencePiece "
            ".model, or a folder written by save_pretrained"
        )
    elif source.suffix == ".json":
        tokenizer = _json(source, name)
    elif source.suffix == ".txt":
        tokenizer = _vocab_txt(source, name)
    elif source.suffix == ".model":
        tokenizer = _sentencepiece(source, name)
    else:
        raise InputError(
            f"teacher '{name}': tokenizer {source}: found the ending '{source.suffix}'; expected .json, .txt or .model"
        )
    tokenizer.backend_tokenizer.no_truncation()
    tokenizer.backend_tokenizer.no_padding()
    _switch_off_dropout(tokenizer.backend_tokenizer, source, name)
    return tokenizer


def _switch_off_dropout(backend: Any, source: Path, name: str) -> None:
    """BPE dropout cuts a text in another way each time. It is meant for training; a label must be the same in every run."""
    dropout = getattr(backend.model, "dropout", None)
    if dropout:
        backend.model.dropout = None
        say_once(f"teacher '{name}': the tokenizer in {source} has BPE dropout {dropout:g}, which is random: it is switched off")


def read_vocab_txt(path: Path, name: str) -> list[str]:
    """The tokens of a vocab.txt, one on each line. The id of a token is its line. Windows line ends are accepted."""
    where = f"teacher '{name}': {path}"
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise InputError(f"{where}: line {line} is not UTF-8 ({error.reason}); {_UTF8}") from None
    tokens = text.split("\n")  # not splitlines(): a token may contain other characters that Unicode defines as line ends
    if tokens[-1] == "":
        tokens.pop()
    if tokens and all(token.endswith("\r") for token in tokens[:-1]) and len(tokens) > 1:
        tokens = [token.removesuffix("\r") for token in tokens]
    if not tokens:
        raise InputError(f"{where}: is empty; expected a token on each line")
    lines: dict[str, int] = {}
    for line, token in enumerate(tokens, start=1):
        if not token:
            raise InputError(
                f"{where}: line {line} is empty; expected a token on each line, because the id of a token is its line: restore the token"
            )
        if token in lines:
            raise InputError(
                f"{where}: line {lines[token]} and line {line} both hold '{token}'; expected every token once, because the id of a token "
                "is its line: correct the file, or give the tokenizer.json that the teacher was trained with"
            )
        lines[token] = line
    return tokens


def _folder(folder: Path, name: str) -> Any:
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    if (folder / "vocab.txt").is_file() and not (folder / "tokenizer.json").is_file():
        read_vocab_txt(folder / "vocab.txt", name)
        if "do_lower_case" not in _config(folder, name):
            # transformers would lower-case by default, which makes a cased vocabulary useless. Some published ones have no other file.
            return _vocab_txt(folder / "vocab.txt", name)
    if (folder / "tokenizer.json").is_file():
        _check_json(folder / "tokenizer.json", name)
    elif found := _of_sentencepiece(folder, name):
        return found
    try:
        if (folder / "tokenizer.json").is_file():
            # The file is loaded unchanged: transformers' own classes replace its normaliser and pre-tokenizer by their defaults.
            declared = _config(folder, name) | _config(folder, name, "special_tokens_map.json")
            tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
            return tokenizer if any(declared.get(f"{role}_token") for role in _CONVENTION) else _declare(tokenizer)
        tokenizer = AutoTokenizer.from_pretrained(folder)
    except InputError:
        raise
    except Exception as error:  # each type of tokenizer fails in its own way
        raise InputError(f"teacher '{name}': the tokenizer in {folder} cannot be loaded: {first_line(error)}") from None
    if not tokenizer.is_fast:
        raise InputError(
            f"teacher '{name}': its tokenizer has no fast form (found {type(tokenizer).__name__}); expected a tokenizer.json: convert it "
            "with transformers"
        )
    return tokenizer


def _of_sentencepiece(folder: Path, name: str) -> Any:
    """The tokenizer of a folder whose pieces are in a SentencePiece .model, in the way of its family; None without a .model."""
    models = sorted(folder.glob("*.model"))
    if not models:
        return None
    config, model_type = _config(folder, name), str(_config(folder, name, "config.json").get("model_type", ""))
    family = family_of(config, model_type)
    if family is None:
        raise InputError(
            f"teacher '{name}': {models[0]} is a SentencePiece model of {config.get('tokenizer_class') or model_type or 'an unknown class'}; "
            f"expected a tokenizer.json beside it, or one of the classes {', '.join(sorted(FAMILIES))}: make the tokenizer.json where its "
            "class is installed (AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER))"
        )
    return read_model(models[0], name, family, config, _config(folder, name, "added_tokens.json"))


def _json(path: Path, name: str) -> Any:
    from transformers import PreTrainedTokenizerFast

    if (path.parent / "tokenizer_config.json").is_file() and path.name == "tokenizer.json":
        return _folder(path.parent, name)  # the declaration is in a file next to it
    _check_json(path, name)
    try:
        tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(path))
    except Exception as error:
        raise InputError(f"teacher '{name}': {path} is not a tokenizer.json: {first_line(error)}") from None
    return _declare(tokenizer)


def _vocab_txt(path: Path, name: str) -> Any:
    """BERT's WordPiece. It lower-cases if the vocabulary has (almost) no capital letters, and strips accents if it also has no accents.

    A tokenizer_config.json next to it comes first.
    """
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    tokens = read_vocab_txt(path, name)
    # A lower-cased vocabulary may have a few capital letters that lower-casing does not change; a cased one has thousands.
    capitals = sum(any(unicodedata.category(char) == "Lu" for char in token) for token in tokens if not token.startswith("["))
    cased = capitals > len(tokens) / 1000
    vocabulary = {token: index for index, token in enumerate(tokens)}
    config = _config(path.parent, name)
    marked = sum(_stripped(token) != token for token in tokens if not token.startswith("["))
    declared = {role: config.get(f"{role}_token", string) for role, string in SPECIAL_TOKENS.items()}
    roles = {role: str(token["content"] if isinstance(token, dict) else token) for role, token in declared.items()}
    special = set(roles.values())
    backend = Tokenizer(models.WordPiece(vocab=vocabulary, unk_token=roles["unk"]))
    strip = config.get("strip_accents")
    backend.normalizer = normalizers.BertNormalizer(
        lowercase=not cased,
        strip_accents=(not cased and marked <= len(tokens) / 1000) if strip is None else bool(strip),
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


def _sentencepiece(path: Path, name: str) -> Any:
    from transformers import PreTrainedTokenizerFast
    from transformers.convert_slow_tokenizer import SpmConverter

    class Converter(SpmConverter):
        handle_byte_fallback = True  # the fast form contains it

    class Source:
        vocab_file = str(path)

    try:
        converter: Any = Converter
        backend = converter(Source()).converted()
    except Exception as error:
        raise InputError(f"teacher '{name}': {path} cannot be read as a SentencePiece model: {first_line(error)}") from None
    backend.add_special_tokens([token for token in ("<unk>",) if backend.token_to_id(token) is not None])
    return _declare(PreTrainedTokenizerFast(tokenizer_object=backend))


def _declare(tokenizer: Any) -> Any:
    """The roles by their usual strings, as far as the tokenizer has them as special tokens."""
    special = {str(token) for token in tokenizer.added_tokens_decoder.values() if token.special}
    roles = {
        f"{role}_token": next(string for string in strings if string in special)
        for role, strings in _CONVENTION.items()
        if getattr(tokenizer, f"{role}_token") is None and any(string in special for string in strings)
    }
    tokenizer.add_special_tokens(roles)
    return tokenizer


def _check_json(path: Path, name: str) -> None:
    """Refuse a tokenizer.json that is not JSON, or whose strings contain half a character."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        vocabulary = content["model"]["vocab"]
        tokens = [str(token) for token in (vocabulary if isinstance(vocabulary, dict) else [entry[0] for entry in vocabulary])]
        ids = list(vocabulary.values()) if isinstance(vocabulary, dict) else tokens
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise InputError(
            f"teacher '{name}': {path} is not a tokenizer.json, or a damaged one ({type(error).__name__}: {first_line(error)}); "
            "fetch it again"
        ) from None
    if len(set(ids)) < len(ids):
        twice = next(one for one in ids if ids.count(one) > 1)
        raise InputError(
            f"teacher '{name}': {path}: '{twice}' is twice in the vocabulary; expected an id for each token: correct it"
        )
    for token in tokens:
        if any("\ud800" <= char <= "\udfff" for char in token):
            raise InputError(f"teacher '{name}': {path} holds the token {token!a}, half a character (a lone surrogate); {_UTF8}")


def _config(folder: Path, name: str, file: str = "tokenizer_config.json") -> dict[str, Any]:
    path = folder / file
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"teacher '{name}': {path} is not JSON: {first_line(error)}; fetch it again") from None
    if not isinstance(content, dict):
        raise InputError(f"teacher '{name}': {path}: found {type(content).__name__}; expected a JSON object: fetch it again")
    return content
