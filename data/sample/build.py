"""Build the bundled sample corpus: `python data/sample/build.py [--out DIR] [--check]`.

Writes an export file for training and one held out for each of four languages, from the tables in `facts/` alone and
byte for byte the same each time. With --check it builds in a temporary folder and compares with the bundled files.
"""

from __future__ import annotations

import argparse
import bz2
import sys
import tempfile
from pathlib import Path

from sample_core import LANGUAGES
from sample_corpus import articles, held_out, pages
from sample_tables import World
from sample_xml import export

HERE = Path(__file__).resolve().parent
PARTS = ("train", "heldout")


def build(folder: Path) -> list[tuple[str, int, int, int, int]]:
    """Write all files; for each language its code, articles for training, held out, words of prose and bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    world = World()
    table = []
    for lang in LANGUAGES:
        made = articles(world, lang)
        size = 0
        for part in PARTS:
            packed = bz2.compress(export(pages(lang, made, part), lang).encode("utf-8"), 9)
            (folder / f"{lang}.{part}.xml.bz2").write_bytes(packed)
            size += len(packed)
        kept = sum(held_out(article.key) for article in made)
        count = sum(len(article.prose().split()) for article in made)
        table.append((lang, len(made) - kept, kept, count, size))
    return table


def differing(folder: Path) -> list[str]:
    """The names of the files that are not the same as those bundled."""
    wrong = []
    for lang in LANGUAGES:
        for part in PARTS:
            name = f"{lang}.{part}.xml.bz2"
            bundled = HERE / name
            if not bundled.exists() or bundled.read_bytes() != (folder / name).read_bytes():
                wrong.append(name)
    return wrong


def main(arguments: list[str] | None = None) -> int:
    """Run the script; 1 if --check found a difference."""
    parser = argparse.ArgumentParser(description="Build the bundled sample corpus.")
    parser.add_argument("--out", type=Path, default=HERE, help="folder for the files (default: this one)")
    parser.add_argument("--check", action="store_true", help="compare a fresh build with the bundled files")
    options = parser.parse_args(arguments)
    if options.check:
        with tempfile.TemporaryDirectory() as name:
            build(Path(name))
            wrong = differing(Path(name))
        for item in wrong:
            print(f"differs from a fresh build: {item}", file=sys.stderr)
        print("the bundled files are up to date" if not wrong else f"{len(wrong)} files differ")
        return 1 if wrong else 0
    table = build(options.out)
    print(f"{'language':<10}{'train':>8}{'heldout':>9}{'words':>10}{'bytes':>10}")
    for lang, train, kept, count, size in table:
        print(f"{lang:<10}{train:>8}{kept:>9}{count:>10}{size:>10}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
