"""The text of templates that no pattern of parameters can describe: numbers with units, dates, ranges, sounds, coordinates.

A form of the table names one of these functions, as "$convert".
"""

import re
from collections.abc import Callable, Mapping
from itertools import takewhile

Value = Callable[[str], str]  # the rendered text of a parameter, by its name or its number from 1; "" if it is not there

_NUMBER = re.compile(r"[-−–+]?[\d.]")
_SEPARATORS = {"-": "–", "–": "–", "to(-)": "–", "x": " × ", "×": " × ", "*": " × ", "+/-": " ± ", "±": " ± ", "and(-)": " and "}
_SEPARATORS |= {word: f" {word} " for word in ("to", "and", "or", "by", "&", "to about", "and about")}
_UNITS = {"C": "°C", "F": "°F", "sqmi": "sq mi", "sqft": "sq ft", "sqkm": "km2", "kph": "km/h"}
_MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"]
_YES = frozenset({"y", "yes", "true", "1"})


def _all(value: Value) -> list[str]:
    """The parameters without a name, up to the first that is empty."""
    return list(takewhile(bool, (value(str(index)) for index in range(1, 60))))


def _convert(value: Value) -> str:
    """{{convert|5|km|mi}}: 5 km. {{convert|5|to|8|km}}: 5 to 8 km. {{convert|5|ft|6|in|cm}}: 5 ft 6 in."""
    words = _all(value)
    text, place = "".join(words[:1]), 1
    while place + 1 < len(words) and words[place] in _SEPARATORS and _NUMBER.match(words[place + 1]):
        text += _SEPARATORS[words[place]] + words[place + 1]
        place += 2
    if place < len(words):
        text += f" {_UNITS.get(words[place], words[place])}"
    while place + 2 < len(words) and _NUMBER.match(words[place + 1]) and not _NUMBER.match(words[place + 2]):
        text += f" {words[place + 1]} {words[place + 2]}"  # a second unit, of the rest
        place += 2
    return text


def _fraction(value: Value) -> str:
    """{{frac|2}}: 1/2. {{frac|1|2}}: 1/2. {{frac|1|2|3}}: 1 2/3."""
    one, two, three = (value(str(index)) for index in (1, 2, 3))
    return f"{one} {two}/{three}" if three else f"{one}/{two}" if two else f"1/{one}"


def _unit(value: Value) -> str:
    """{{unité|72735|m2}}: 72735 m2. {{unité|5|km|/|h}}: 5 km/h."""
    number, *units = (value(str(index)) for index in range(1, 6))
    return " ".join(filter(None, (number, "".join(units))))


def _val(value: Value) -> str:
    """{{val|6.24|e=18|u=C}}: 6.24×10^18 C. {{val|5|0.2|ul=m|upl=s}}: 5±0.2 m/s. {{val|1.2|-|1.5|u=m}}: 1.2–1.5 m."""
    number, second, third = (value(str(index)) for index in (1, 2, 3))
    if second in _SEPARATORS:
        number, second, third = number + _SEPARATORS[second] + third, "", ""
    if second.startswith("("):
        number += second
    elif second:
        number += f"+{second}−{third}" if third else f"±{second}"
    power = value("e").replace("-", "−")
    if power:
        number = f"({number})" if second and not second.startswith("(") else number
        number = f"{number}×10^{power}" if number else f"10^{power}"
    unit = (value("u") or value("ul")) + "".join(f"/{per}" for per in (value("up"), value("upl")) if per)
    return value("p") + number + (f" {unit}" if unit and not unit.startswith(("%", "°")) else unit) + value("s")


def _date(value: Value) -> str:
    """{{date|14|juillet|1789}}: 14 juillet 1789."""
    return " ".join(filter(None, (value(str(index)) for index in (1, 2, 3))))


def _day(value: Value) -> str:
    """{{birth date|1990|7|4}}: July 4, 1990. {{birth date|1990|7|4|df=yes}}: 4 July 1990."""
    year, month, day = value("1"), _month(value("2")), value("3")
    if month and day and value("df").casefold() not in _YES:
        return f"{month} {day}, {year}"
    return " ".join(filter(None, (day, month, year)))


def _month(number: str) -> str:
    return _MONTHS[int(number) - 1] if number.isdecimal() and 1 <= int(number) <= 12 else number


def _as_of(value: Value) -> str:
    """{{As of|2012|3|lc=on}}: as of March 2012."""
    if value("alt"):
        return value("alt")
    begins = "Since" if value("since") else "As of"
    date = " ".join(filter(None, (value("3"), _month(value("2")), value("1"))))
    return f"{begins.lower() if value('lc') else begins} {date}" + (f" ({value('post')})" if value("post") else "")


def _range(value: Value) -> str:
    """{{reign|1958|1960}}: 1958–1960. {{circa|1958}}: 1958."""
    return "–".join(_all(value)[:2])


def _ipa(value: Value) -> str:
    """{{IPAc-en|lang|ˈ|æ|s|k|i}}: /ˈæski/. Words of English before the sounds are settings."""
    sounds = [value(str(index)) for index in range(1, 60)]
    text = "".join(sound for sound in sounds if not (sound.isascii() and len(sound) > 2)).replace("_", " ").strip("- ")
    return f"/{text}/" if text else ""


def _coordinates(value: Value) -> str:
    """{{coord|57|18|22|N|4|27|W}}: 57°18′22″N 4°27′W. With display=title they are shown beside the text: nothing."""
    if "title" in value("display") and "inline" not in value("display"):
        return ""
    parts: list[list[str]] = [[]]
    for word in _all(value):
        if word in ("N", "S", "E", "W"):
            parts[-1].append(word)
            parts.append([])
        elif _NUMBER.match(word):
            parts[-1].append(word)
    if len(parts) == 1 and len(parts[0]) >= 2:  # degrees as decimal numbers
        signs = [
            ("S" if "-" in north or "−" in north else "N") if place == 0 else ("W" if "-" in north or "−" in north else "E")
            for place, north in enumerate(parts[0][:2])
        ]
        return " ".join(f"{degrees.lstrip('-−')}°{sign}" for degrees, sign in zip(parts[0], signs, strict=False))
    return " ".join(
        "".join(f"{number}{mark}" for number, mark in zip(part[:-1], "°′″", strict=False)) + part[-1] for part in parts[:2] if part
    )


def _interlanguage(value: Value) -> str:
    """{{ill|Title|de|Titel}}: Title. The older order is {{ill|de|Title|Titel}}."""
    old = bool(re.fullmatch(r"[a-z]{2,3}(-[a-z]+)*", value("1"))) and value("2")
    return value("lt") or (value("4") or value("2") if old else value("1"))


def _join(value: Value) -> str:
    """{{chem|H|2|O}}: H2O."""
    return "".join(_all(value))


FORMS: Mapping[str, Callable[[Value], str]] = {
    "convert": _convert,
    "frac": _fraction,
    "unit": _unit,
    "val": _val,
    "date": _date,
    "day": _day,
    "as_of": _as_of,
    "range": _range,
    "ipa": _ipa,
    "coordinates": _coordinates,
    "interlanguage": _interlanguage,
    "join": _join,
}
