"""Spanish words: articles, contractions, countries, numbers in words and figures, lists with y and e."""

from __future__ import annotations

from sample_core import Row, given

ONES = [
    "cero",
    "uno",
    "dos",
    "tres",
    "cuatro",
    "cinco",
    "seis",
    "siete",
    "ocho",
    "nueve",
    "diez",
    "once",
    "doce",
    "trece",
    "catorce",
    "quince",
    "dieciséis",
    "diecisiete",
    "dieciocho",
    "diecinueve",
    "veinte",
    "veintiuno",
    "veintidós",
    "veintitrés",
    "veinticuatro",
    "veinticinco",
    "veintiséis",
    "veintisiete",
    "veintiocho",
    "veintinueve",
]
TENS = ["-", "-", "-", "treinta", "cuarenta", "cincuenta", "sesenta", "setenta", "ochenta", "noventa"]
HUNDREDS = [
    "-",
    "ciento",
    "doscientos",
    "trescientos",
    "cuatrocientos",
    "quinientos",
    "seiscientos",
    "setecientos",
    "ochocientos",
    "novecientos",
]
ARTICLES = {"m": "el", "f": "la", "mp": "los", "fp": "las"}
STRESSED_A = {"águila", "ave", "alga", "haba", "haya", "alca", "área", "agua", "arpa", "ánade", "asta"}


def de(phrase: str) -> str:
    """`de` and the phrase: de + el becomes del, unless El belongs to a name."""
    return f"del {phrase[3:]}" if phrase.startswith("el ") else f"de {phrase}"


def al(phrase: str) -> str:
    """`a` and the phrase: a + el becomes al, unless El belongs to a name."""
    return f"al {phrase[3:]}" if phrase.startswith("el ") else f"a {phrase}"


def the(noun: str, gender: str) -> str:
    """The noun with its definite article; el before a stressed a-: el águila."""
    if gender == "f" and noun.split(" ")[0].lower() in STRESSED_A:
        return f"el {noun}"
    return f"{ARTICLES[gender]} {noun}" if gender in ARTICLES else noun


def and_(word: str) -> str:
    """The word for `and` before the given one: e before i- and hi-, but y before hie- and y-."""
    low = word.lower()
    return "e" if low.startswith(("i", "hi", "í", "hí")) and not low.startswith(("hie", "hia", "io", "ia")) else "y"


def listed(items: list[str]) -> str:
    """The items with commas and y or e."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} {and_(items[-1])} {items[-1]}"


def words(number: int) -> str:
    """A number from 0 to 999 in words."""
    if number < 30:
        return ONES[number]
    if number < 100:
        tens, one = divmod(number, 10)
        return TENS[tens] + (f" y {ONES[one]}" if one else "")
    if number == 100:
        return "cien"
    hundreds, rest = divmod(number, 100)
    return HUNDREDS[hundreds] + (f" {words(rest)}" if rest else "")


def figure(value: str | float) -> str:
    """A number in figures, with spaces in groups of three from five digits on and a decimal comma."""
    number = float(value)
    whole = int(number)
    text = f"{whole:,}".replace(",", " ") if whole >= 10_000 else str(whole)
    part = f"{number - whole:.4f}".rstrip("0")[2:]
    return f"{text},{part}" if part else text


def amount(value: str) -> str:
    """A number of people: in millions where it is large."""
    number = int(float(value))
    if number < 1_000_000:
        return figure(number)
    millions = round(number / 1e6, 1) if number < 10_000_000 else round(number / 1e6)
    return f"{figure(millions)} mill{'ón' if millions == 1 else 'ones'}"


def people(value: str, noun: str = "habitantes") -> str:
    """A number with its noun: 950 000 habitantes, 84 millones de habitantes."""
    text = amount(value)
    return f"{text} {'de ' if 'mill' in text else ''}{noun}"


def land(row: Row) -> str:
    """A country as it stands within a sentence, with its article where it needs one."""
    return f"{row['es_art']} {row['es']}" if given(row["es_art"]) else row["es"]
