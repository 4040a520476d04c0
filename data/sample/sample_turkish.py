"""Turkish suffixes: vowel harmony, hardening, buffer letters and the apostrophe after proper names and numbers."""

from __future__ import annotations

import unicodedata

ONES = ["sıfır", "bir", "iki", "üç", "dört", "beş", "altı", "yedi", "sekiz", "dokuz"]
TENS = ["-", "on", "yirmi", "otuz", "kırk", "elli", "altmış", "yetmiş", "seksen", "doksan"]
VOWELS = "aeıioöuü"
HARD = "fstkçşhpx"
# Last words that already carry the possessive suffix, so that a case suffix needs an n: Hint Okyanusu'na.
POSSESSED = {
    "cumhuriyeti",
    "devletleri",
    "emirlikleri",
    "adaları",
    "sahili",
    "okyanusu",
    "denizi",
    "gölü",
    "körfezi",
    "nehri",
    "dağı",
    "dağları",
    "sıradağları",
    "boğazı",
    "deltası",
    "bataklığı",
    "ırmağı",
    "zirvesi",
    "tepesi",
    "yarımadası",
    "kanalı",
    "çölü",
    "platosu",
    "masifi",
    "haliç'i",
    "ovası",
    "bölgesi",
    "adası",
    "ginesi",
    "halici",
    "kenti",
    "havzası",
}
# How the end of a foreign name is spoken where its spelling misleads.
SPOKEN = {
    "louis": "lui",
    "penh": "pen",
    "libreville": "libervil",
    "basseterre": "baster",
    "roseau": "rozo",
    "port-au-prince": "prens",
    "spain": "speyn",
    "brazzaville": "brazavil",
    "vientiane": "vientian",
    "bridgetown": "taun",
    "kingstown": "taun",
    "freetown": "taun",
    "georgetown": "taun",
    "seul": "söül",
    "senegal": "senegel",
    "nepal": "nepel",
    "castries": "kastris",
    "seine": "sen",
    "rhône": "ron",
    "loire": "luar",
    "marne": "marn",
    "saône": "son",
    "garonne": "garon",
    "dordogne": "dordony",
    "meuse": "möz",
    "moselle": "mozel",
    "yukon": "yukon",
    "thames": "temz",
    "severn": "severn",
    "missouri": "misuri",
    "ohio": "ohayo",
    "santiago": "santiago",
    "oise": "uaz",
    "grande": "grande",
    "columbia": "kolumbia",
    "metal": "metel",
    "ametal": "ametel",
    "kyoga": "kyoga",
    "hope": "hop",
    "leone": "leone",
    "yaren": "yaren",
    "timphu": "timpu",
    "snake": "sneyk",
    "elbe": "elbe",
}
SOFTENED = {"kükürt": "kükürd", "arsenik": "arseniğ", "iyot": "iyod"}


def _sound(word: str) -> str:
    """The last word in small letters as it is spoken, its accents taken off."""
    last = word.replace("I", "ı").replace("İ", "i").lower().split(" ")[-1].strip("'’.,)»”“")
    last = SPOKEN.get(last, last)
    kept = ""
    for letter in last:
        plain = letter if letter in "çğıöşü" else unicodedata.normalize("NFD", letter)[0]
        kept += {"y": "y", "ø": "ö", "æ": "e", "ł": "l"}.get(plain, plain)
    return kept


def last_vowel(word: str) -> str:
    """The vowel that rules the suffixes of a word."""
    for letter in reversed(_sound(word)):
        if letter in VOWELS:
            return letter
    return "e"


def two(word: str) -> str:
    """The vowel of a two-way suffix: a or e."""
    return "a" if last_vowel(word) in "aıou" else "e"


def four(word: str) -> str:
    """The vowel of a four-way suffix: ı, i, u or ü."""
    return {"a": "ı", "ı": "ı", "e": "i", "i": "i", "o": "u", "u": "u", "ö": "ü", "ü": "ü"}[last_vowel(word)]


def _ends_in_vowel(word: str) -> bool:
    sound = _sound(word)
    return sound[-1:] in VOWELS


def _hard(word: str) -> bool:
    return _sound(word)[-1:] in HARD


def _possessed(word: str) -> bool:
    return word.replace("I", "ı").replace("İ", "i").lower().split(" ")[-1] in POSSESSED


def _mark(word: str, proper: bool) -> str:
    return f"{word}'" if proper else word


def gen(word: str, proper: bool = True) -> str:
    """The genitive: Ankara'nın, Berlin'in, demirin."""
    if not proper and word.split(" ")[-1] in SOFTENED:
        return f"{word[:-1]}{SOFTENED[word.split(' ')[-1]][-1]}{four(word)}n"
    return f"{_mark(word, proper)}{'n' if _ends_in_vowel(word) else ''}{four(word)}n"


def dat(word: str, proper: bool = True) -> str:
    """The dative: Ankara'ya, Berlin'e, Hint Okyanusu'na."""
    buffer = "n" if _possessed(word) else "y" if _ends_in_vowel(word) else ""
    return f"{_mark(word, proper)}{buffer}{two(word)}"


def loc(word: str, proper: bool = True) -> str:
    """The locative: Ankara'da, Paris'te, Fildişi Sahili'nde."""
    start = "nd" if _possessed(word) else "t" if _hard(word) else "d"
    return f"{_mark(word, proper)}{start}{two(word)}"


def abl(word: str, proper: bool = True) -> str:
    """The ablative: Ankara'dan, Paris'ten, Fildişi Sahili'nden."""
    return f"{loc(word, proper)}n"


def acc(word: str, proper: bool = True) -> str:
    """The accusative: Ankara'yı, Paris'i, Hint Okyanusu'nu."""
    buffer = "n" if _possessed(word) else "y" if _ends_in_vowel(word) else ""
    return f"{_mark(word, proper)}{buffer}{four(word)}"


def cop(word: str, proper: bool = False) -> str:
    """The word with `is`: ülkedir, ağaçtır, Paris'tir."""
    return f"{_mark(word, proper)}{'t' if _hard(word) else 'd'}{four(word)}r"


def words(number: int) -> str:
    """A number from 0 to 999 in words."""
    if number < 10:
        return ONES[number]
    hundreds, rest = divmod(number, 100)
    tens, one = divmod(rest, 10)
    parts = [("" if hundreds == 1 else f"{ONES[hundreds]} ") + "yüz"] if hundreds else []
    parts += [TENS[tens]] if tens else []
    parts += [ONES[one]] if one else []
    return " ".join(parts)


def spoken_end(number: float) -> str:
    """The last word of a number read aloud, which rules its suffixes."""
    text = f"{number:.4f}".rstrip("0").rstrip(".")
    whole = int(text.split(".")[1]) if "." in text else int(text)
    if whole == 0:
        return "sıfır"
    for size, name in ((10, ONES[whole % 10]), (100, TENS[whole // 10 % 10]), (1000, "yüz"), (1_000_000, "bin")):
        if whole % size:
            return name
    return "milyon" if whole % 1_000_000_000 else "milyar"


def figure(value: str | float) -> str:
    """A number in figures, with points between thousands and a decimal comma."""
    number = float(value)
    text = f"{int(number):,}" if number == int(number) else f"{number:,.4f}".rstrip("0")
    return text.translate(str.maketrans(",.", ".,"))


def number_with(value: str | float, suffix: str, shown: str = "") -> str:
    """A number in figures with a suffix (cop, gen, dat, loc, abl or acc): 6'dır, 1900'de."""
    end = spoken_end(float(value))
    made = {"cop": cop, "gen": gen, "dat": dat, "loc": loc, "abl": abl, "acc": acc}[suffix](end, False)
    return f"{shown or figure(value)}'{made[len(end) :]}"


def listed(items: list[str]) -> str:
    """The items with commas and `ve`."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} ve {items[-1]}"
