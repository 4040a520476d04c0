"""The bundled sample: the files are the ones that were published, and each is a dump with all that a dump holds."""

import bz2
import hashlib
import xml.etree.ElementTree as ET

import pytest

from tests.support.paths import ROOT

SAMPLE = ROOT / "data" / "sample"
LANGUAGES = ("en", "de", "es", "tr")
PARTS = ("train", "heldout")


def test_the_files_are_the_published_ones() -> None:
    listed = [line.split() for line in (SAMPLE / "SHA256SUMS").read_text().splitlines()]
    assert sorted(name for _, name in listed) == sorted(f"{lang}.{part}.xml.bz2" for lang in LANGUAGES for part in PARTS)
    for checksum, name in listed:
        assert hashlib.sha256((SAMPLE / name).read_bytes()).hexdigest() == checksum, name


@pytest.mark.parametrize("lang", LANGUAGES)
def test_export_holds_articles_redirects_and_other_pages(lang: str) -> None:
    space = "{http://www.mediawiki.org/xml/export-0.11/}"
    count = 0
    for part in PARTS:
        root = ET.fromstring(bz2.decompress((SAMPLE / f"{lang}.{part}.xml.bz2").read_bytes()))
        pages = root.findall(f"{space}page")
        titles = [page.findtext(f"{space}title") for page in pages]
        assert len(titles) == len(set(titles))
        spaces = {page.findtext(f"{space}ns") for page in pages}
        assert {"0", "1", "14"} <= spaces
        assert any(page.find(f"{space}redirect") is not None for page in pages)
        count += sum(page.findtext(f"{space}ns") == "0" and page.find(f"{space}redirect") is None for page in pages)
        for page in pages:
            text = page.find(f"{space}revision/{space}text")
            assert text is not None
            assert int(text.attrib["bytes"]) == len((text.text or "").encode("utf-8"))
    assert count >= 2000
