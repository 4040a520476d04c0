"""German words: articles and cases of nouns and countries, numbers in words and figures, lists."""

from __future__ import annotations

import re

from sample_core import Row, given

ONES = [
    "null",
    "eins",
    "zwei",
    "drei",
    "vier",
    "fünf",
    "sechs",
    "sieben",
    "acht",
    "neun",
    "zehn",
    "elf",
    "zwölf",
    "dreizehn",
    "vierzehn",
    "fünfzehn",
    "sechzehn",
    "siebzehn",
    "achtzehn",
    "neunzehn",
]
TENS = ["-", "-", "zwanzig", "dreißig", "vierzig", "fünfzig", "sechzig", "siebzig", "achtzig", "neunzig"]
ARTICLE = {"m": "der", "f": "die", "n": "das", "p": "die"}
ISLANDS = {"PH", "MV", "SC", "KM", "BS", "MH", "SB"}
DATIVE = {"der": "dem", "die": "der", "das": "dem"}
GENITIVE = {"der": "des", "die": "der", "das": "des"}


def declined(phrase: str, case: str) -> str:
    """A singular noun phrase with its definite article, from the nominative into acc, dat or (feminine) gen.

    Adjectives after the article take -en: der Stille Ozean, den Stillen Ozean. Nouns keep their form.
    """
    words_ = phrase.split(" ")
    article, rest = words_[0], words_[1:]
    if article not in DATIVE or (case == "acc" and article != "der"):
        return phrase
    for place, word in enumerate(rest[:-1]):
        if len(word) < 4 or not word.endswith("e"):
            break
        rest[place] = word + "n"
    new = {"acc": "den", "dat": DATIVE[article], "gen": GENITIVE[article]}[case]
    return " ".join([new, *rest])


def genitive(name: str) -> str:
    """A name before its noun (Annas) or after it (von Hans): ends in -s, or stands after `von` where it hisses."""
    return f"von {name}" if name[-1] in "szxß’'." or name.endswith(("ce", "ge")) else f"{name}s"


def the(noun: str, gender: str) -> str:
    """The noun with its definite article; a leading strong adjective becomes weak: Großer Panda, der Große Panda."""
    head, _, tail = noun.partition(" ")
    if tail and gender in "mn" and re.search(r"(er|es)$", head) and head[0].isupper() and not head.endswith("ier"):
        head = head[:-1]
    return f"{ARTICLE[gender]} {head} {tail}".strip() if gender in ARTICLE else noun


def a(phrase: str) -> str:
    """The indefinite article for a phrase that comes with the definite one."""
    article, _, noun = phrase.partition(" ")
    return f"{'eine' if article == 'die' else 'ein'} {noun}"


def bare(phrase: str) -> str:
    """A phrase without its article."""
    return phrase.partition(" ")[2]


def words(number: int, final: bool = True) -> str:
    """A number from 0 to 999 in words; `final`: one is `eins` at the end, otherwise `ein`."""
    if number < 20:
        return "ein" if number == 1 and not final else ONES[number]
    if number < 100:
        tens, one = divmod(number, 10)
        return (f"{words(one, False)}und" if one else "") + TENS[tens]
    hundreds, rest = divmod(number, 100)
    return f"{words(hundreds, False)}hundert" + (words(rest, final) if rest else "")


def figure(value: str | float) -> str:
    """A number in figures, with points between thousands and a decimal comma."""
    number = float(value)
    text = f"{int(number):,}" if number == int(number) else f"{number:,.4f}".rstrip("0")
    return text.translate(str.maketrans(",.", ".,"))


def amount(value: str) -> str:
    """A number of people: in millions where it is large."""
    number = int(float(value))
    if number < 1_000_000:
        return figure(number)
    millions = round(number / 1e6, 1) if number < 10_000_000 else round(number / 1e6)
    return f"{figure(millions)} Million{'' if millions == 1 else 'en'}"


def listed(items: list[str]) -> str:
    """The items with commas and `und`."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} und {items[-1]}"


def land(row: Row, case: str = "nom") -> str:
    """A country in a case, with its article where it has one (genitive: after its noun)."""
    name, gender = row["de"], row["de_g"]
    if not given(gender):
        return genitive(name) if case == "gen" else name
    if gender == "p":
        name = re.sub(r"(igte|ische)\b", r"\1n", name)
        name += "n" if case == "dat" and name.endswith("e") else ""
        return {"nom": "die", "acc": "die", "dat": "den", "gen": "der"}[case] + " " + name
    if gender == "n":
        name = name.replace("Vereinigtes", "Vereinigte")
    phrase = declined(f"{ARTICLE[gender]} {name}", case) if case != "nom" else f"{ARTICLE[gender]} {name}"
    return phrase + "s" if gender == "n" and case == "gen" else phrase


def within(row: Row) -> str:
    """In the country: in Italien, im Iran, in der Schweiz, auf den Malediven."""
    if row["de_g"] in ("m", "n"):
        return f"im {bare(land(row, 'dat'))}"
    return f"{'auf' if row['iso'] in ISLANDS else 'in'} {land(row, 'dat')}"


def to_range(chain: str) -> str:
    """Belonging to mountains: zu den Alpen, zum Himalaya, zur Kaskadenkette."""
    noun = bare(chain)
    if chain.startswith("die ") and not (noun.endswith("kette") or noun.startswith(("Sierra", "Crocker", "Cordillera"))):
        return f"zu den {noun}{'n' if noun.endswith('e') else ''}"
    dative = declined(chain, "dat")
    return f"{'zur' if chain.startswith('die ') else 'zum'} {bare(dative)}"
