"""Turkish names of months, continents, classes and the like, and measures with their suffixes."""

from __future__ import annotations

from sample_turkish import cop, figure, loc, number_with

MONTHS = ["Ocak", "Şubat", "Mart", "Nisan", "Mayıs", "Haziran", "Temmuz", "Ağustos", "Eylül", "Ekim", "Kasım", "Aralık"]
WEEKDAYS = ["pazartesi", "salı", "çarşamba", "perşembe", "cuma", "cumartesi", "pazar"]
ZODIAC = ["Oğlak", "Kova", "Balık", "Koç", "Boğa", "İkizler", "Yengeç", "Aslan", "Başak", "Terazi", "Akrep", "Yay"]
SEASONS = ["kış", "ilkbahar", "yaz", "sonbahar"]
CONTINENTS = {
    "africa": "Afrika",
    "asia": "Asya",
    "europe": "Avrupa",
    "north_america": "Kuzey Amerika",
    "south_america": "Güney Amerika",
    "australia": "Avustralya",
    "oceania": "Okyanusya",
    "antarctica": "Antarktika",
}
CATEGORIES = {
    "alkali": ("alkali metal", "alkali metaller"),
    "alkaline_earth": ("toprak alkali metal", "toprak alkali metaller"),
    "transition": ("geçiş metali", "geçiş metalleri"),
    "post_transition": ("p bloku metali", "p bloku metalleri"),
    "metalloid": ("yarı metal", "yarı metaller"),
    "nonmetal": ("ametal", "ametaller"),
    "halogen": ("halojen", "halojenler"),
    "noble_gas": ("soy gaz", "soy gazlar"),
    "lanthanide": ("lantanit", "lantanitler"),
    "actinide": ("aktinit", "aktinitler"),
}
STATES = {"gas": "gaz", "solid": "katı", "liquid": "sıvı"}
CLASSES = {
    "mammal": ("memeli", "memeliler"),
    "bird": ("kuş", "kuşlar"),
    "reptile": ("sürüngen", "sürüngenler"),
    "amphibian": ("amfibi", "amfibiler"),
    "fish": ("balık", "balıklar"),
    "insect": ("böcek", "böcekler"),
    "arachnid": ("örümceğimsi", "örümceğimsiler"),
    "crustacean": ("kabuklu", "kabuklular"),
    "mollusc": ("yumuşakça", "yumuşakçalar"),
}
HABITATS = {
    "forest": "ormanlarda",
    "savanna": "savanlarda",
    "desert": "çöllerde",
    "ocean": "denizlerde",
    "river": "ırmaklarda ve göllerde",
    "mountains": "dağlarda",
    "polar": "kutup bölgelerinde",
    "grassland": "otlaklarda",
    "rainforest": "yağmur ormanlarında",
    "wetland": "sulak alanlarda",
    "farm": "çiftliklerde",
}
FOODS = {"herbivore": "bitkilerle", "carnivore": "başka hayvanlarla", "omnivore": "hem bitkilerle hem de hayvanlarla"}
DIETS = {"herbivore": "otçul", "carnivore": "etçil", "omnivore": "hepçil"}
RANGES = {"worldwide": "dünyanın birçok yerinde", "oceans": "okyanuslarda"}
KINDS = {
    "tree": "ağaç",
    "flower": "çiçek",
    "fruit": "meyve bitkisi",
    "vegetable": "sebze",
    "grain": "tahıl",
    "herb": "aromatik bitki",
    "spice": "baharat bitkisi",
}
JOBS = {
    "physics": "fizikçi",
    "chemistry": "kimyager",
    "mathematics": "matematikçi",
    "astronomy": "gök bilimci",
    "biology": "biyolog",
    "medicine": "hekim",
    "geology": "jeolog",
    "computer_science": "bilgisayar bilimci",
    "engineering": "mühendis",
    "philosophy": "filozof",
}
FIELDS = {
    "physics": "fizik",
    "chemistry": "kimya",
    "mathematics": "matematik",
    "astronomy": "astronomi",
    "biology": "biyoloji",
    "medicine": "tıp",
    "geology": "jeoloji",
    "computer_science": "bilgisayar bilimi",
    "engineering": "mühendislik",
    "philosophy": "felsefe",
}
SPHERES = {"rocky": "kayalık gezegen", "gas": "gaz devi", "ice": "buz devi", "dwarf": "cüce gezegen", "moon": "uydu"}


def continent(key: str) -> str:
    """Where on the globe."""
    return RANGES.get(key) or loc(CONTINENTS[key])


def amount(value: str) -> str:
    """A number of people: in millions where it is large."""
    number = int(float(value))
    if number < 1_000_000:
        return figure(number)
    return f"{figure(round(number / 1e6, 1) if number < 10_000_000 else round(number / 1e6))} milyon"


def amount_is(value: str) -> str:
    """A number of people with `is`: 84 milyondur, 950.000'dir."""
    number = int(float(value))
    return number_with(number, "cop") if number < 1_000_000 else cop(amount(value))


def measure(value: str) -> str:
    """A length given in centimetres."""
    number = float(value)
    if number >= 100:
        return f"{figure(number / 100)} metre"
    return f"{figure(number)} santimetre" if number >= 1 else f"{figure(number * 10)} milimetre"


def weight(value: str) -> str:
    """A weight given in kilograms."""
    number = float(value)
    if number >= 2000:
        return f"{figure(number / 1000)} ton"
    return f"{figure(number)} kilogram" if number >= 1 else f"{figure(number * 1000)} gram"


def day_name(month: int, day: int) -> str:
    """Such as 3 Mayıs."""
    return f"{day} {MONTHS[month - 1]}"


def date(value: str) -> str:
    """A date or a year from a table, such as 14 Mart 1879."""
    if len(value) == 10:
        return f"{day_name(int(value[5:7]), int(value[8:]))} {int(value[:4])}"
    return value.lstrip("0")


def on(value: str) -> str:
    """A date as a time: 14 Mart 1879 tarihinde, 1879 yılında."""
    return f"{date(value)} {'tarihinde' if len(value) == 10 else 'yılında'}"
