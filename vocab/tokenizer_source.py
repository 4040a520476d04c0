"""Loads a tokenizer from an HF folder, a tokenizer.json, a vocab.txt or a SentencePiece model. The result is an HF fast tokenizer.

A single vocab.txt, tokenizer.json or .model declares no roles. Then the usual strings, listed below, give the roles, if the file has
them as special tokens. The declaration of a folder comes first.
"""

import json
from pathlib import Path
from typing import Any

from vocab.errors import InputError, first_line
from vocab.model_source import NO_CODE, UTF8, load_fault, read_json
from vocab.notices import say_once
from vocab.sentencepiece_source import FAMILIES, family_of, read_model
from vocab.vocab_txt import BERT_KIN, kin, of_vocab_txt, other_class, read_vocab_txt

_CONVENTION = {
    "pad": ("[PAD]", "<pad>"),
    "unk": ("[UNK]", "<unk>"),
    "cls": ("[CLS]", "<s>"),
    "sep": ("[SEP]", "</s>"),
    "mask": ("[MASK]", "<mask>"),
}
# Keys of tokenizer_config.json with which transformers changes what a tokenizer.json says.
_CHANGES_TEXT = ("do_lower_case", "strip_accents", "tokenize_chinese_chars", "add_prefix_space", "keep_accents", "remove_space")
_PROBES = ["The Café", " 東京 は 日本", "ÀÉÎ e\u0301 ﬁ Ⅷ", "a,b  c\n", "한국어 각", "x\u200cy\u00adz", "ИЙ йё", "``a'' don't"]


def open_tokenizer(source: Path, name: str) -> Any:
    """The fast tokenizer (PreTrainedTokenizerFast) of a source, without truncation and padding. `name` is its owner, for messages.

    Raises InputError for a file that cannot be read, a tokenizer without a fast form, and a vocabulary with half a character.
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
        tokenizer = of_vocab_txt(source, name)
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


def _folder(folder: Path, name: str) -> Any:
    from transformers import AutoTokenizer

    other = ""
    if (folder / "tokenizer.json").is_file():
        return _folder_with_json(folder, name)
    if (folder / "vocab.txt").is_file():
        tokens = read_vocab_txt(folder / "vocab.txt", name)
        other = other_class(folder, tokens, name)
        if not other and "do_lower_case" not in read_json(folder, name):
            # transformers would lower-case by default, which makes a cased vocabulary useless. Some published ones have no other file.
            return of_vocab_txt(folder / "vocab.txt", name)
    if found := _of_sentencepiece(folder, name):
        return found
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, **NO_CODE)
    except Exception as error:  # each type of tokenizer fails in its own way
        kind = f" ({other})" if other else ""
        raise InputError(f"teacher '{name}': the tokenizer in {folder}{kind} cannot be loaded: {load_fault(error)}") from None
    found_class = type(tokenizer).__name__
    if not tokenizer.is_fast or (other and found_class.removesuffix("Fast") != other.removesuffix("Fast")):
        raise InputError(
            f"teacher '{name}': the tokenizer in {folder} has no fast form (found {other or found_class}); expected a tokenizer.json: "
            "convert it with transformers"
        )
    return tokenizer


def _folder_with_json(folder: Path, name: str) -> Any:
    """A tokenizer.json is taken as it is, unless the tokenizer_config.json beside it declares how text is changed: then as transformers.

    To declare one of BERT's classes is such a declaration: they lower-case by default. Where the class follows from the model's type
    alone, transformers puts these defaults in the place of the file's normaliser too; here the file holds, and that is said.
    """
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    _check_json(folder / "tokenizer.json", name)
    config = read_json(folder, name)
    declared = config | read_json(folder, name, "special_tokens_map.json")
    keys = [key for key in _CHANGES_TEXT if config.get(key) is not None]
    if not keys and kin(str(config.get("tokenizer_class") or "")) in BERT_KIN:
        keys = ["tokenizer_class"]
    try:
        tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
        theirs = AutoTokenizer.from_pretrained(folder, **NO_CODE) if keys else tokenizer
    except Exception as error:  # each type of tokenizer fails in its own way
        raise InputError(f"teacher '{name}': the tokenizer in {folder} cannot be loaded: {load_fault(error)}") from None
    if keys and not _same(tokenizer, theirs):
        if not theirs.is_fast or theirs.get_vocab() != tokenizer.get_vocab():
            raise InputError(
                f"teacher '{name}': {folder / 'tokenizer.json'} and {folder / 'tokenizer_config.json'} ({', '.join(keys)}) contradict each "
                "other: remove the keys that do not hold"
            )
        say_once(
            f"teacher '{name}': tokenizer_config.json ({', '.join(f'{key} = {config[key]}' for key in keys)}) changes what tokenizer.json "
            "says: taken as transformers takes it"
        )
        tokenizer = theirs
    if not keys and not config.get("tokenizer_class"):
        _say_default(folder, tokenizer, name)
    return tokenizer if any(declared.get(f"{role}_token") for role in _CONVENTION) else _declare(tokenizer)


def _say_default(folder: Path, tokenizer: Any, name: str) -> None:
    """Say it if the class that transformers takes for this type of model reads text in another way than the tokenizer.json."""
    from transformers import AutoTokenizer

    try:
        theirs = AutoTokenizer.from_pretrained(folder, **NO_CODE)
    except Exception:  # the file alone is enough
        return
    if not _same(tokenizer, theirs):
        say_once(
            f"teacher '{name}': the tokenizer is taken as {folder / 'tokenizer.json'} says; AutoTokenizer takes {type(theirs).__name__} "
            "whose defaults read text in another way: if they are right, declare this tokenizer_class in tokenizer_config.json"
        )


def _same(one: Any, other: Any) -> bool:
    """Whether two tokenizers cut some odd texts in the same way."""
    return bool(one(_PROBES, add_special_tokens=False)["input_ids"] == other(_PROBES, add_special_tokens=False)["input_ids"])


def _of_sentencepiece(folder: Path, name: str) -> Any:
    """The tokenizer of a folder whose pieces are in a SentencePiece .model, in the way of its family; None without a .model."""
    models = sorted(folder.glob("*.model"))
    if not models:
        return None
    config, model_type = read_json(folder, name), str(read_json(folder, name, "config.json").get("model_type", ""))
    family = family_of(config, model_type)
    if family is None:
        found = config.get("tokenizer_class") or model_type or "an unknown class"
        raise InputError(
            f"teacher '{name}': {models[0]} is a SentencePiece model of {found}; "
            f"expected a tokenizer.json beside it, or one of the classes {', '.join(sorted(FAMILIES))}: make the tokenizer.json where its "
            "class is installed (AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER))"
        )
    return read_model(models[0], name, family, config, read_json(folder, name, "added_tokens.json"))


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
        ids = list(vocabulary.values()) if isinstance(vocabulary, dict) else []
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(
            f"teacher '{name}': {path} is not a tokenizer.json, or a damaged one ({type(error).__name__}: {first_line(error)}); "
            "fetch it again"
        ) from None
    if isinstance(vocabulary, dict) and len(set(ids)) < len(ids):
        twice = next(one for one in ids if ids.count(one) > 1)
        raise InputError(
            f"teacher '{name}': {path}: '{twice}' is twice in the vocabulary; expected an id for each token: correct it"
        )
    for token in tokens:
        if any("\ud800" <= char <= "\udfff" for char in token):
            raise InputError(f"teacher '{name}': {path} holds the token {token!a}, half a character (a lone surrogate); {UTF8}")
