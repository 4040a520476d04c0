"""Published vocabularies trimmed on real text: sizes, unknown tokens, words cut in the same way, logits of the kept pieces.

    python -m tests.trials.real_trimming VOCABULARIES TEXT

VOCABULARIES and TEXT: as for real_vocabularies. Each vocabulary gets a small masked LM of random weights. Exit code 1 if words become
unknown, less than 99.9% of the words stay as they were, or a logit of a kept piece differs by more than 1e-6.
"""

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForMaskedLM, BertConfig, XLMRobertaConfig

from pipeline.prepare import prepare
from student.trim import TrimResult, trim
from tests.trials.real_vocabularies import byte_level, metaspace_bpe, sentences
from vocab.tokenizer_source import open_tokenizer

SIZES: dict[str, Any] = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
LONGEST, SAMPLE, BPE_SIZE = 512, 20_000, 30_000


def save(folder: Path, config: Any) -> Path:
    torch.manual_seed(0)
    AutoModelForMaskedLM.from_config(config).save_pretrained(folder)
    return folder


def models(vocabularies: Path, text: Path, work: Path) -> dict[str, tuple[Path, tuple[str, ...]]]:
    """name → (folder of a model, the languages that it is trimmed to)."""
    found: dict[str, tuple[Path, tuple[str, ...]]] = {}
    mbert = work / "mbert"
    mbert.mkdir()
    shutil.copy(vocabularies / "bert-base-multilingual-cased/vocab.txt", mbert)
    rows = len((mbert / "vocab.txt").read_text(encoding="utf-8").splitlines())
    save(mbert, BertConfig(vocab_size=rows, max_position_embeddings=LONGEST, **SIZES))
    for languages in (("de", "zh"), ("en", "ar")):
        found[f"multilingual BERT, {' + '.join(languages)}"] = mbert, languages
    for language in ("de", "ar"):
        folder = work / f"sentencepiece-{language}"
        folder.mkdir()
        shutil.copy(vocabularies / f"wiki-sentencepiece/{language}wiki.8k.model", folder / "sentencepiece.bpe.model")
        config = XLMRobertaConfig(vocab_size=8100, max_position_embeddings=LONGEST + 2, **SIZES)
        config.save_pretrained(folder)
        roles = open_tokenizer(folder, "sentencepiece")
        config.pad_token_id, config.vocab_size = roles.pad_token_id, len(roles)
        save(folder, config)
        found[f"SentencePiece of {language}wiki, {language}"] = folder, (language,)
    both = [sentence for language in ("de", "en") for sentence in sentences(text / language, SAMPLE)]
    for name, make in (("byte-level BPE", byte_level), ("SentencePiece BPE", metaspace_bpe)):
        folder, tokenizer = work / name.replace(" ", "-"), make(both, BPE_SIZE)
        config = XLMRobertaConfig(
            vocab_size=len(tokenizer), pad_token_id=tokenizer.pad_token_id, max_position_embeddings=LONGEST + 2, **SIZES
        )
        tokenizer.save_pretrained(save(folder, config))
        found[f"{name} of en + de, de"] = folder, ("de",)
    return found


def shown(name: str, result: TrimResult) -> bool:
    """Print a result; whether it is as it must be."""
    print(
        f"{name}: {result.pieces_before:,} → {result.pieces_after:,} pieces, {result.parameters_before:,} → {result.parameters_after:,} "
        f"parameters, largest logit difference {result.logit_difference:.1e}"
    )
    for change in result.changes:
        unknown = f"unknown {change.unknown_before:.4%} → {change.unknown_after:.4%}"
        pieces = f"pieces a word {change.pieces_before:.3f} → {change.pieces_after:.3f}"
        print(f"  {change.language}: {change.tokens:,} tokens, {unknown}, {pieces}, {change.same_words:.3%} of the words as before")
    sound = all(c.unknown_after <= c.unknown_before + 1e-4 and c.same_words >= 0.999 for c in result.changes)
    return sound and result.logit_difference <= 1e-6


def main(vocabularies: Path, text: Path) -> int:
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        for language in ("ar", "de", "en", "zh"):
            files = sorted(map(str, (text / language).glob("*.gz")))[:2]
            prepare(files, language, str(work / f"corpora/{language}"), beam_args=[])
        sound = [
            shown(
                name,
                trim(str(model), {one: [f"{work}/corpora/{one}/*.parquet"] for one in languages}, work / f"out{n}", progress=False),
            )
            for n, (name, (model, languages)) in enumerate(models(vocabularies, text, work).items())
        ]
    return 0 if all(sound) else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
