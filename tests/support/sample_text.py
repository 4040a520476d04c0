"""Real text of several languages: the articles of the bundled sample, as they are in the dumps."""

import bz2
import re
from functools import cache

from tests.support.paths import ROOT


@cache
def sample_text(language: str, articles: int = 60, characters: int = 1500) -> list[str]:
    """The beginnings of the sample's held-out articles in a language (de, en, es or tr), with their markup."""
    dump = bz2.decompress((ROOT / f"data/sample/{language}.heldout.xml.bz2").read_bytes()).decode("utf-8")
    return [text[:characters] for text in re.findall(r"<text[^>]*>(.*?)</text>", dump, re.DOTALL)[:articles]]
