"""The corpus of one language: every article, its split, and the pages around the articles."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import sample_de_lands
import sample_de_living
import sample_de_matter
import sample_de_people
import sample_de_reckoned
import sample_de_states
import sample_en_lands
import sample_en_living
import sample_en_matter
import sample_en_people
import sample_en_reckoned
import sample_en_states
import sample_es_lands
import sample_es_living
import sample_es_matter
import sample_es_people
import sample_es_reckoned
import sample_es_states
import sample_tr_lands
import sample_tr_living
import sample_tr_matter
import sample_tr_people
import sample_tr_reckoned
import sample_tr_states
from sample_core import LANGUAGES, Article, Draft, Picker, Row, digest, settle, upper_first
from sample_labels import KINDS, LABELS, NAMESPACES
from sample_reckoning import NUMBERS, YEARS, Day, all_days
from sample_tables import World
from sample_wikitext import wikitext
from sample_xml import Page

Writer = Callable[[World, Row], Draft]
HELD_OUT_PERCENT = 8
KIND_TABLES = {
    "country": "countries",
    "capital": "countries",
    "element": "elements",
    "planet": "planets_and_moons",
    "animal": "animals",
    "plant": "plants",
    "scientist": "scientists",
    "language": "languages",
    "city": "cities",
    "river": "rivers",
    "mountain": "mountains",
}
WRITERS: dict[str, dict[str, Writer]] = {
    "en": {
        "country": sample_en_states.country,
        "capital": sample_en_states.capital,
        "city": sample_en_states.city,
        "river": sample_en_lands.river,
        "mountain": sample_en_lands.mountain,
        "animal": sample_en_living.animal,
        "plant": sample_en_living.plant,
        "element": sample_en_matter.element,
        "planet": sample_en_matter.planet,
        "scientist": sample_en_people.scientist,
        "language": sample_en_people.language,
    },
    "de": {
        "country": sample_de_states.country,
        "capital": sample_de_states.capital,
        "city": sample_de_states.city,
        "river": sample_de_lands.river,
        "mountain": sample_de_lands.mountain,
        "animal": sample_de_living.animal,
        "plant": sample_de_living.plant,
        "element": sample_de_matter.element,
        "planet": sample_de_matter.planet,
        "scientist": sample_de_people.scientist,
        "language": sample_de_people.language,
    },
    "es": {
        "country": sample_es_states.country,
        "capital": sample_es_states.capital,
        "city": sample_es_states.city,
        "river": sample_es_lands.river,
        "mountain": sample_es_lands.mountain,
        "animal": sample_es_living.animal,
        "plant": sample_es_living.plant,
        "element": sample_es_matter.element,
        "planet": sample_es_matter.planet,
        "scientist": sample_es_people.scientist,
        "language": sample_es_people.language,
    },
    "tr": {
        "country": sample_tr_states.country,
        "capital": sample_tr_states.capital,
        "city": sample_tr_states.city,
        "river": sample_tr_lands.river,
        "mountain": sample_tr_lands.mountain,
        "animal": sample_tr_living.animal,
        "plant": sample_tr_living.plant,
        "element": sample_tr_matter.element,
        "planet": sample_tr_matter.planet,
        "scientist": sample_tr_people.scientist,
        "language": sample_tr_people.language,
    },
}
RECKONED = {"en": sample_en_reckoned, "de": sample_de_reckoned, "es": sample_es_reckoned, "tr": sample_tr_reckoned}


def drafts(world: World, lang: str) -> Iterator[tuple[str, str, Draft, str]]:
    """Kind, key, draft and wished title of every article; the same keys in every language."""
    for kind, table in KIND_TABLES.items():
        for key, row in world.tables[table].items():
            if kind == "capital" and any(row[f"capital_{code}"] == row[code] for code in LANGUAGES):
                continue
            draft = WRITERS[lang][kind](world, row)
            name = row[f"capital_{lang}"] if kind == "capital" else row[lang].removeprefix("the ")
            yield kind, f"{kind}_{key}", draft, upper_first(name, lang)
    reckoned = RECKONED[lang]
    for n in NUMBERS:
        yield "number", f"number_{n}", reckoned.number(world, n), f"{n} ({KINDS[lang]['number']})"
    for d in all_days():
        assert isinstance(d, Day)
        draft = reckoned.day(world, d)
        yield "day", d.key, draft, upper_first(draft.name, lang)
    for y in YEARS:
        yield "year", f"year_{y}", reckoned.year(world, y), str(y)


def articles(world: World, lang: str) -> list[Article]:
    """Every article of a language, each under a title of its own."""
    made: list[Article] = []
    taken: set[str] = set()
    for kind, key, draft, wish in drafts(world, lang):
        title = wish
        for other in (f"{wish} ({KINDS[lang][kind]})", f"{wish} ({key})"):
            if title in taken:
                title = other
        taken.add(title)
        made.append(settle(draft, key, kind, title, Picker("article", lang, kind, key)))
    return made


def held_out(key: str) -> bool:
    """True for the articles of the held-out part: chosen by the entity, so alike in every language."""
    entity = key.split("_", 1)[1] if key.startswith(("country_", "capital_")) else key
    return digest("held-out", entity) % 100 < HELD_OUT_PERCENT


def others(lang: str, chosen: list[Article], part: str) -> list[Page]:
    """Redirects, templates, categories and talk pages for a part of the corpus."""
    names, labels = NAMESPACES[lang], LABELS[lang]
    pages = []
    for article in chosen:
        picker = Picker("others", lang, article.key)
        if picker.chance(4):
            title = f"{article.title} – {KINDS[lang][article.kind]}"
            pages.append(Page(title, 0, f"#{labels['redirect']} [[{article.title}]]", article.title))
        if picker.chance(2):
            pages.append(Page(f"{names[1]}:{article.title}", 1, f"== {article.title} ==\n{labels['talk']} ~~~~"))
    groups = sorted({name for article in chosen for name in article.categories})
    pages += [Page(f"{names[14]}:{name}", 14, f"{labels['category']}{name}.") for name in groups[:40]]
    if part == "train":
        pages += [
            Page(
                f"{names[10]}:{labels['box']} {kind}",
                10,
                f"<includeonly>{{{{{{name|}}}}}}</includeonly><noinclude>{labels['template']}</noinclude>",
            )
            for kind in sorted(set(KINDS[lang].values()))
        ]
    return pages


def pages(lang: str, made: list[Article], part: str) -> list[Page]:
    """The pages of a part (train or heldout), in the order of a drawn number for each title."""
    titles = {article.name: article.title for article in reversed(made)}
    chosen = [article for article in made if held_out(article.key) == (part == "heldout")]
    every = [Page(article.title, 0, wikitext(article, lang, titles)) for article in chosen]
    every += others(lang, chosen, part)
    return sorted(every, key=lambda page: digest("order", lang, page.title))
