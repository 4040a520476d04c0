"""English words: articles, numbers in words and figures, lists, and the names of classes, continents and months."""

from __future__ import annotations

from sample_core import Row, given

ONES = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
TENS = ["-", "-", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"]
WEEKDAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
ZODIAC = [
    "Capricorn",
    "Aquarius",
    "Pisces",
    "Aries",
    "Taurus",
    "Gemini",
    "Cancer",
    "Leo",
    "Virgo",
    "Libra",
    "Scorpio",
    "Sagittarius",
]
SEASONS = ["winter", "spring", "summer", "autumn"]
CONTINENTS = {
    "africa": "Africa",
    "asia": "Asia",
    "europe": "Europe",
    "north_america": "North America",
    "south_america": "South America",
    "australia": "Australia",
    "oceania": "Oceania",
    "antarctica": "Antarctica",
}
CATEGORIES = {
    "alkali": "alkali metal",
    "alkaline_earth": "alkaline earth metal",
    "transition": "transition metal",
    "post_transition": "post-transition metal",
    "metalloid": "metalloid",
    "nonmetal": "nonmetal",
    "halogen": "halogen",
    "noble_gas": "noble gas",
    "lanthanide": "lanthanide",
    "actinide": "actinide",
}
STATES = {"gas": "a gas", "solid": "a solid", "liquid": "a liquid"}
CLASSES = {
    "mammal": "mammal",
    "bird": "bird",
    "reptile": "reptile",
    "amphibian": "amphibian",
    "fish": "fish",
    "insect": "insect",
    "arachnid": "arachnid",
    "crustacean": "crustacean",
    "mollusc": "mollusc",
}
CLASS_PLURALS = {"fish": "fish"}
HABITATS = {
    "forest": "in forests",
    "savanna": "on the savanna",
    "desert": "in deserts",
    "ocean": "in the sea",
    "river": "in rivers and lakes",
    "mountains": "in the mountains",
    "polar": "in the polar regions",
    "grassland": "on grassland",
    "rainforest": "in the rainforest",
    "wetland": "in wetlands",
    "farm": "on farms",
}
FOODS = {"herbivore": "plants", "carnivore": "other animals", "omnivore": "both plants and animals"}
RANGES = {"worldwide": "in many parts of the world", "oceans": "in the oceans of the world"}
KINDS = {
    "tree": "tree",
    "flower": "flower",
    "fruit": "fruit plant",
    "vegetable": "vegetable",
    "grain": "cereal",
    "herb": "herb",
    "spice": "spice plant",
}
JOBS = {
    "physics": "physicist",
    "chemistry": "chemist",
    "mathematics": "mathematician",
    "astronomy": "astronomer",
    "biology": "biologist",
    "medicine": "physician",
    "geology": "geologist",
    "computer_science": "computer scientist",
    "engineering": "engineer",
    "philosophy": "philosopher",
}
FIELDS = {key: key.replace("_", " ") for key in JOBS}
SPHERES = {"rocky": "rocky planet", "gas": "gas giant", "ice": "ice giant", "dwarf": "dwarf planet", "moon": "moon"}


def an(word: str) -> str:
    """The word after its indefinite article."""
    low = word.lower()
    vowel = low[:1] in "aeiou" and not low.startswith(("uni", "eu", "one", "use", "ura"))
    return f"{'an' if vowel or low.startswith(('hour', 'honest', 'heir')) else 'a'} {word}"


def words(number: int) -> str:
    """A number from 0 to 999 in words."""
    if number < 20:
        return ONES[number]
    if number < 100:
        tens, one = divmod(number, 10)
        return TENS[tens] + (f"-{ONES[one]}" if one else "")
    hundreds, rest = divmod(number, 100)
    return f"{ONES[hundreds]} hundred" + (f" and {words(rest)}" if rest else "")


def ordinal(number: int) -> str:
    """Such as 1st, 12th or 23rd."""
    if number % 100 in (11, 12, 13):
        return f"{number}th"
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th') }"


def figure(value: str | float) -> str:
    """A number in figures, with commas between thousands."""
    number = float(value)
    return f"{int(number):,}" if number == int(number) else f"{number:,.4f}".rstrip("0")


def amount(value: str) -> str:
    """A number of people: in millions where it is large."""
    number = int(float(value))
    if number >= 1_000_000:
        return f"{round(number / 1e6, 1):g} million" if number < 10_000_000 else f"{figure(round(number / 1e6))} million"
    return figure(number)


def listed(items: list[str]) -> str:
    """The items with commas and `and`."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def land(country: Row) -> str:
    """The name of a country as it stands within a sentence."""
    return f"the {country['en']}" if given(country["en_art"]) else country["en"]


def continent(key: str) -> str:
    """Where on the globe, with its preposition: in Asia, in many parts of the world."""
    return RANGES[key] if key in RANGES else f"in {CONTINENTS[key]}"


def length(value: str) -> str:
    """A length given in centimetres."""
    number = float(value)
    if number >= 100:
        return f"{number / 100:g} metre{'' if number == 100 else 's'}"
    return f"{number:g} centimetre{'' if number == 1 else 's'}" if number >= 1 else f"{number * 10:g} millimetres"


def weight(value: str) -> str:
    """A weight given in kilograms."""
    number = float(value)
    if number >= 2000:
        return f"{number / 1000:g} tonnes"
    if number >= 1:
        return f"{number:g} kilogram{'' if number == 1 else 's'}"
    return f"{number * 1000:g} gram{'' if number == 0.001 else 's'}" if number >= 0.001 else "less than one gram"


def day_name(month: int, day: int) -> str:
    """Such as 3 May."""
    return f"{day} {MONTHS[month - 1]}"


def date(value: str) -> str:
    """A date or a year from a table, such as 14 March 1879."""
    if len(value) == 10:
        return f"{day_name(int(value[5:7]), int(value[8:]))} {int(value[:4])}"
    return value.lstrip("0")
