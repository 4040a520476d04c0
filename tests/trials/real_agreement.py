"""How far the ways to tokenize agree on real text, for three mixed sets of teachers with published vocabularies.

    python -m tests.trials.real_agreement VOCABULARIES TEXT OUT

Arguments as of real_vocabularies.py; OUT gets the corpora, the teachers' tokenizers and configurations (no weights: nothing is
predicted, the pieces that training would show are counted in the corpora), and a run a set.
"""

import subprocess
import sys
from pathlib import Path

from transformers import BertConfig

from tests.trials.real_vocabularies import byte_level, sentences, with_roles
from vocab.tokenizer_source import open_tokenizer
from vocab.vocab_txt import read_vocab_txt

# set → (teacher, its tokenizer, its languages)
SETS = {
    "wordpiece": [
        ("bert-en", "bert-base-cased", ["en"]),
        ("mbert", "bert-base-multilingual-cased", ["de", "ar"]),
        ("bert-zh", "bert-base-chinese", ["zh"]),
    ],
    "sentencepiece": [
        ("bert-en", "bert-base-cased", ["en"]),
        ("bert-zh", "bert-base-chinese", ["zh"]),
        ("spm-de", "dewiki.8k.model", ["de"]),
        ("spm-ar", "arwiki.8k.model", ["ar"]),
    ],
    "byte-level": [
        ("byte-en", "byte-level", ["en"]),
        ("spm-de", "dewiki.8k.model", ["de"]),
        ("mbert", "bert-base-multilingual-cased", ["ar"]),
        ("bert-zh", "bert-base-chinese", ["zh"]),
    ],
}
LANGUAGES = ("en", "de", "ar", "zh")


def save_model(folder: Path, rows: int) -> None:
    BertConfig(vocab_size=rows, architectures=["BertForMaskedLM"]).save_pretrained(folder)


def make_teacher(tokenizer: str, vocabularies: Path, text: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if tokenizer == "byte-level":
        byte_level(sentences(text / "en", 50_000), 16_000).save_pretrained(folder)
        save_model(folder, 16_000)
    elif tokenizer.endswith(".model"):
        made = with_roles(open_tokenizer(vocabularies / "wiki-sentencepiece" / tokenizer, tokenizer))
        made.save_pretrained(folder)
        save_model(folder, len(made))
    else:
        path = vocabularies / tokenizer / "vocab.txt"
        (folder / "vocab.txt").write_bytes(path.read_bytes())
        save_model(folder, len(read_vocab_txt(path, tokenizer)))


def main(vocabularies: Path, text: Path, out: Path) -> None:
    command = [sys.executable, "-c", "import cli; cli.main()"]
    for language in LANGUAGES:
        if not (out / "corpora" / language).exists():
            files = [str(file) for file in sorted((text / language).glob("*.gz"))]
            subprocess.run(
                [*command, "prepare", *files, "--language", language, "--out", str(out / "corpora" / language)], check=True
            )
    for name, members in SETS.items():
        lines = [f'name = "{name}"']
        for teacher, tokenizer, languages in members:
            make_teacher(tokenizer, vocabularies, text, out / "teachers" / tokenizer)
            lines += ["[[teachers]]", f'name = "{teacher}"', f'model = "teachers/{tokenizer}"', f"languages = {languages}"]
        lines += ["[corpora]", *(f'{language} = "corpora/{language}/*.parquet"' for language in LANGUAGES)]
        (out / f"{name}.toml").write_text("\n".join(lines) + "\n")
        print(f"\n== {name}", flush=True)
        subprocess.run([*command, "vocab", str(out / f"{name}.toml"), "--out", str(out / name), "--report"], check=True)


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:4]))
