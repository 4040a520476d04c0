"""The bundled sample corpus: built alike each time, correct suffixes and articles, prose without holes."""

from __future__ import annotations

import bz2
import importlib
import re
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SAMPLE = Path(__file__).resolve().parent.parent / "data" / "sample"
LANGUAGES = ("en", "de", "es", "tr")
PARTS = ("train", "heldout")
HOLES = ("{", "}", "None", "  ", " .", " ,", "..", "[[", "]]", "'''", "<", "_", "\ue000")


@pytest.fixture(scope="module")
def sample() -> Iterator[dict[str, ModuleType]]:
    """The script's modules, imported as the script imports them."""
    sys.path.insert(0, str(SAMPLE))
    names = ["build", *(path.stem for path in sorted(SAMPLE.glob("sample_*.py")))]
    yield {name: importlib.import_module(name) for name in names}
    sys.path.remove(str(SAMPLE))
    for name in names:
        sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def made(sample: dict[str, ModuleType]) -> dict[str, list[Any]]:
    """All articles in plain prose by language."""
    world = sample["sample_tables"].World()
    return {lang: sample["sample_corpus"].articles(world, lang) for lang in LANGUAGES}


def test_build_equals_the_bundled_files(sample: dict[str, ModuleType], tmp_path: Path) -> None:
    start = time.monotonic()
    sample["build"].build(tmp_path)
    assert time.monotonic() - start < 30
    for lang in LANGUAGES:
        for part in PARTS:
            name = f"{lang}.{part}.xml.bz2"
            assert (tmp_path / name).read_bytes() == (SAMPLE / name).read_bytes(), name


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


def test_the_same_entities_are_held_out_in_every_language(sample: dict[str, ModuleType], made: dict[str, list[Any]]) -> None:
    keys = {lang: [article.key for article in made[lang]] for lang in LANGUAGES}
    assert all(keys[lang] == keys["en"] for lang in LANGUAGES)
    assert len(keys["en"]) == len(set(keys["en"])) >= 2600
    kept = [key for key in keys["en"] if sample["sample_corpus"].held_out(key)]
    assert 0.05 < len(kept) / len(keys["en"]) < 0.11


@pytest.mark.parametrize("lang", LANGUAGES)
def test_prose_has_no_holes(lang: str, made: dict[str, list[Any]]) -> None:
    for article in made[lang]:
        prose = article.prose()
        assert not [hole for hole in HOLES if hole in prose], (article.key, prose)
        assert prose.endswith(".")
        assert article.name in article.sections[0][1][0], article.key
        for _, sentences in article.sections:
            for sentence in sentences:
                assert sentence[0].isupper() or sentence[0].isdigit(), (article.key, sentence)
        assert 15 <= len(prose.split()) <= 260, (article.key, len(prose.split()))


def test_turkish_suffixes(sample: dict[str, ModuleType]) -> None:
    tr = sample["sample_turkish"]
    assert [tr.gen(word) for word in ("Ankara", "Berlin", "Paris", "Roma", "Seul", "Türkiye", "Ürdün")] == [
        "Ankara'nın",
        "Berlin'in",
        "Paris'in",
        "Roma'nın",
        "Seul'ün",
        "Türkiye'nin",
        "Ürdün'ün",
    ]
    assert [tr.loc(word) for word in ("Paris", "Ankara", "Fildişi Sahili", "Budapeşte", "Taşkent", "Irak", "Senegal")] == [
        "Paris'te",
        "Ankara'da",
        "Fildişi Sahili'nde",
        "Budapeşte'de",
        "Taşkent'te",
        "Irak'ta",
        "Senegal'de",
    ]
    assert [tr.dat(word) for word in ("Karadeniz", "Hint Okyanusu", "Tuna", "Ren", "Çad Gölü")] == [
        "Karadeniz'e",
        "Hint Okyanusu'na",
        "Tuna'ya",
        "Ren'e",
        "Çad Gölü'ne",
    ]
    assert tr.acc("Hazar Denizi") == "Hazar Denizi'ni"
    assert tr.abl("Güneş") == "Güneş'ten"
    assert [tr.cop(word) for word in ("ağaç", "ülke", "Türkçe", "dolar", "metal", "gün", "kuş", "Türk lirası")] == [
        "ağaçtır",
        "ülkedir",
        "Türkçedir",
        "dolardır",
        "metaldir",
        "gündür",
        "kuştur",
        "Türk lirasıdır",
    ]
    assert tr.gen("kükürt", False) == "kükürdün"
    assert [tr.number_with(n, "cop") for n in (1, 3, 4, 6, 9, 10, 40, 100, 1000, 950_000)] == [
        "1'dir",
        "3'tür",
        "4'tür",
        "6'dır",
        "9'dur",
        "10'dur",
        "40'tır",
        "100'dür",
        "1.000'dir",
        "950.000'dir",
    ]
    assert tr.number_with(1990, "loc", "1990") == "1990'da"
    assert tr.words(365) == "üç yüz altmış beş"


def test_german_cases(sample: dict[str, ModuleType]) -> None:
    de, rows = sample["sample_german"], sample["sample_tables"].World().tables["countries"]
    assert [de.land(rows[key], "gen") for key in ("germany", "laos", "switzerland", "iran", "united_states")] == [
        "Deutschlands",
        "von Laos",
        "der Schweiz",
        "des Iran",
        "der Vereinigten Staaten",
    ]
    assert de.land(rows["united_kingdom"], "gen") == "des Vereinigten Königreichs"
    assert de.land(rows["dominican_republic"], "dat") == "der Dominikanischen Republik"
    assert [de.within(rows[key]) for key in ("italy", "iraq", "turkey", "netherlands", "maldives", "united_kingdom")] == [
        "in Italien",
        "im Irak",
        "in der Türkei",
        "in den Niederlanden",
        "auf den Malediven",
        "im Vereinigten Königreich",
    ]
    assert de.declined("der Atlantische Ozean", "acc") == "den Atlantischen Ozean"
    assert de.declined("das Schwarze Meer", "acc") == "das Schwarze Meer"
    assert de.declined("die schwedische Krone", "dat") == "der schwedischen Krone"
    assert de.the("Großer Panda", "m") == "der Große Panda"
    assert de.to_range("die Alpen") == "zu den Alpen"
    assert de.to_range("der Himalaya") == "zum Himalaya"
    assert [de.words(n) for n in (1, 21, 101, 317)] == ["eins", "einundzwanzig", "einhunderteins", "dreihundertsiebzehn"]


def test_spanish_contractions_and_conjunctions(sample: dict[str, ModuleType]) -> None:
    es = sample["sample_spanish"]
    assert [es.de(word) for word in ("el Líbano", "El Salvador", "la India", "Chile")] == [
        "del Líbano",
        "de El Salvador",
        "de la India",
        "de Chile",
    ]
    assert es.al("el mar Negro") == "al mar Negro"
    assert es.listed(["Francia", "Italia"]) == "Francia e Italia"
    assert es.listed(["agua", "hielo"]) == "agua y hielo"
    assert es.the("águila", "f") == "el águila"
    assert [es.words(n) for n in (16, 22, 31, 100, 101, 555)] == [
        "dieciséis",
        "veintidós",
        "treinta y uno",
        "cien",
        "ciento uno",
        "quinientos cincuenta y cinco",
    ]
    assert es.people("84000000") == "84 millones de habitantes"
    assert es.people("950000") == "950 000 habitantes"


def test_english_words(sample: dict[str, ModuleType]) -> None:
    en = sample["sample_english"]
    assert [en.ordinal(n) for n in (1, 2, 3, 11, 22, 113, 133)] == ["1st", "2nd", "3rd", "11th", "22nd", "113th", "133rd"]
    assert [en.an(word) for word in ("animal", "planet", "omnivore")] == ["an animal", "a planet", "an omnivore"]
    assert en.words(342) == "three hundred and forty-two"


def test_facts_are_sane(sample: dict[str, ModuleType]) -> None:
    tables = sample["sample_tables"].World().tables
    assert [int(row["number"]) for row in tables["elements"].values()] == list(range(1, 119))
    assert len({row["symbol"] for row in tables["elements"].values()}) == 118
    assert 190 <= len(tables["countries"]) <= 200
    for row in tables["countries"].values():
        assert all(row[f"capital_{lang}"] not in ("", "-") for lang in LANGUAGES), row["key"]
        assert re.fullmatch(r"[A-Z]{2}", row["iso"])
        assert all(key in tables["tongues"] for key in row["languages"].split(",") if key != "-")
    reckoning = sample["sample_reckoning"]
    assert (reckoning.roman(1789), reckoning.easter(2000), reckoning.century(1900)) == ("MDCCLXXXIX", (4, 23), 19)
    assert [reckoning.is_leap(year) for year in (1700, 1704, 2000)] == [False, True, True]
    assert reckoning.Day(12, 31).left == 0
