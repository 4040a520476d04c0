"""Spanish names of months, continents, classes and the like, and measures and dates."""

from __future__ import annotations

from sample_spanish import figure

MONTHS = [
    "enero",
    "febrero",
    "marzo",
    "abril",
    "mayo",
    "junio",
    "julio",
    "agosto",
    "septiembre",
    "octubre",
    "noviembre",
    "diciembre",
]
WEEKDAYS = ["lunes", "martes", "miércoles", "jueves", "viernes", "sábado", "domingo"]
ZODIAC = [
    "Capricornio",
    "Acuario",
    "Piscis",
    "Aries",
    "Tauro",
    "Géminis",
    "Cáncer",
    "Leo",
    "Virgo",
    "Libra",
    "Escorpio",
    "Sagitario",
]
SEASONS = ["el invierno", "la primavera", "el verano", "el otoño"]
CONTINENTS = {
    "africa": "África",
    "asia": "Asia",
    "europe": "Europa",
    "north_america": "América del Norte",
    "south_america": "América del Sur",
    "australia": "Australia",
    "oceania": "Oceanía",
    "antarctica": "la Antártida",
}
CATEGORIES = {
    "alkali": ("metal alcalino", "metales alcalinos"),
    "alkaline_earth": ("metal alcalinotérreo", "metales alcalinotérreos"),
    "transition": ("metal de transición", "metales de transición"),
    "post_transition": ("metal del bloque p", "metales del bloque p"),
    "metalloid": ("semimetal", "semimetales"),
    "nonmetal": ("no metal", "no metales"),
    "halogen": ("halógeno", "halógenos"),
    "noble_gas": ("gas noble", "gases nobles"),
    "lanthanide": ("lantánido", "lantánidos"),
    "actinide": ("actínido", "actínidos"),
}
STATES = {"gas": "gaseoso", "solid": "sólido", "liquid": "líquido"}
CLASSES = {
    "mammal": "un mamífero",
    "bird": "un ave",
    "reptile": "un reptil",
    "amphibian": "un anfibio",
    "fish": "un pez",
    "insect": "un insecto",
    "arachnid": "un arácnido",
    "crustacean": "un crustáceo",
    "mollusc": "un molusco",
}
CLASS_PLURALS = {
    "mammal": "los mamíferos",
    "bird": "las aves",
    "reptile": "los reptiles",
    "amphibian": "los anfibios",
    "fish": "los peces",
    "insect": "los insectos",
    "arachnid": "los arácnidos",
    "crustacean": "los crustáceos",
    "mollusc": "los moluscos",
}
HABITATS = {
    "forest": "en los bosques",
    "savanna": "en la sabana",
    "desert": "en los desiertos",
    "ocean": "en el mar",
    "river": "en ríos y lagos",
    "mountains": "en las montañas",
    "polar": "en las regiones polares",
    "grassland": "en las praderas",
    "rainforest": "en la selva",
    "wetland": "en los humedales",
    "farm": "en las granjas",
}
FOODS = {"herbivore": "plantas", "carnivore": "otros animales", "omnivore": "plantas y animales"}
DIETS = {"herbivore": "herbívoro", "carnivore": "carnívoro", "omnivore": "omnívoro"}
RANGES = {"worldwide": "en muchas partes del mundo", "oceans": "en los océanos del mundo"}
KINDS = {
    "tree": "un árbol",
    "flower": "una planta de flor",
    "fruit": "una planta frutal",
    "vegetable": "una hortaliza",
    "grain": "un cereal",
    "herb": "una hierba aromática",
    "spice": "una especia",
}
JOBS = {
    "physics": ("físico", "física"),
    "chemistry": ("químico", "química"),
    "mathematics": ("matemático", "matemática"),
    "astronomy": ("astrónomo", "astrónoma"),
    "biology": ("biólogo", "bióloga"),
    "medicine": ("médico", "médica"),
    "geology": ("geólogo", "geóloga"),
    "computer_science": ("informático", "informática"),
    "engineering": ("ingeniero", "ingeniera"),
    "philosophy": ("filósofo", "filósofa"),
}
FIELDS = {
    "physics": "la física",
    "chemistry": "la química",
    "mathematics": "las matemáticas",
    "astronomy": "la astronomía",
    "biology": "la biología",
    "medicine": "la medicina",
    "geology": "la geología",
    "computer_science": "la informática",
    "engineering": "la ingeniería",
    "philosophy": "la filosofía",
}
SPHERES = {
    "rocky": "planeta rocoso",
    "gas": "planeta gaseoso",
    "ice": "gigante helado",
    "dwarf": "planeta enano",
    "moon": "satélite natural",
}


def continent(key: str) -> str:
    """Where on the globe, with its preposition."""
    return RANGES.get(key) or f"en {CONTINENTS[key]}"


def measure(value: str) -> str:
    """A length given in centimetres."""
    number = float(value)
    if number >= 100:
        return f"{figure(number / 100)} metro{'s' * (number != 100)}"
    return f"{figure(number)} centímetro{'s' * (number != 1)}" if number >= 1 else f"{figure(number * 10)} milímetros"


def weight(value: str) -> str:
    """A weight given in kilograms."""
    number = float(value)
    if number >= 2000:
        return f"{figure(number / 1000)} toneladas"
    if number >= 1:
        return f"{figure(number)} kilogramo{'s' * (number != 1)}"
    return f"{figure(number * 1000)} gramo{'s' * (number != 0.001)}"


def day_name(month: int, day: int) -> str:
    """Such as 3 de mayo."""
    return f"{day} de {MONTHS[month - 1]}"


def date(value: str) -> str:
    """A date or a year from a table, such as 14 de marzo de 1879."""
    if len(value) == 10:
        return f"{day_name(int(value[5:7]), int(value[8:]))} de {int(value[:4])}"
    return value.lstrip("0")


def on(value: str) -> str:
    """A date with its article or preposition: el 14 de marzo de 1879, en 1879."""
    return f"{'el' if len(value) == 10 else 'en'} {date(value)}"
