"""German names of months, continents, classes and the like, and measures and dates."""

from __future__ import annotations

from sample_german import figure

MONTHS = ["Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober", "November", "Dezember"]
WEEKDAYS = ["Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag", "Sonntag"]
ZODIAC = [
    "Steinbock",
    "Wassermann",
    "Fische",
    "Widder",
    "Stier",
    "Zwillinge",
    "Krebs",
    "Löwe",
    "Jungfrau",
    "Waage",
    "Skorpion",
    "Schütze",
]
SEASONS = ["Winter", "Frühling", "Sommer", "Herbst"]
CONTINENTS = {
    "africa": "Afrika",
    "asia": "Asien",
    "europe": "Europa",
    "north_america": "Nordamerika",
    "south_america": "Südamerika",
    "australia": "Australien",
    "oceania": "Ozeanien",
    "antarctica": "Antarktis",
}
CATEGORIES = {
    "alkali": ("das Alkalimetall", "Alkalimetallen"),
    "alkaline_earth": ("das Erdalkalimetall", "Erdalkalimetallen"),
    "transition": ("das Übergangsmetall", "Übergangsmetallen"),
    "post_transition": ("das Metall", "Metallen"),
    "metalloid": ("das Halbmetall", "Halbmetallen"),
    "nonmetal": ("das Nichtmetall", "Nichtmetallen"),
    "halogen": ("das Halogen", "Halogenen"),
    "noble_gas": ("das Edelgas", "Edelgasen"),
    "lanthanide": ("das Lanthanoid", "Lanthanoiden"),
    "actinide": ("das Actinoid", "Actinoiden"),
}
STATES = {"gas": "gasförmig", "solid": "fest", "liquid": "flüssig"}
CLASSES = {
    "mammal": ("das Säugetier", "Säugetieren"),
    "bird": ("der Vogel", "Vögeln"),
    "reptile": ("das Reptil", "Reptilien"),
    "amphibian": ("die Amphibie", "Amphibien"),
    "fish": ("der Fisch", "Fischen"),
    "insect": ("das Insekt", "Insekten"),
    "arachnid": ("das Spinnentier", "Spinnentieren"),
    "crustacean": ("das Krebstier", "Krebstieren"),
    "mollusc": ("das Weichtier", "Weichtieren"),
}
CLASS_PLURALS = {
    "mammal": "Säugetiere",
    "bird": "Vögel",
    "reptile": "Reptilien",
    "amphibian": "Amphibien",
    "fish": "Fische",
    "insect": "Insekten",
    "arachnid": "Spinnentiere",
    "crustacean": "Krebstiere",
    "mollusc": "Weichtiere",
}
HABITATS = {
    "forest": "in Wäldern",
    "savanna": "in der Savanne",
    "desert": "in Wüsten",
    "ocean": "im Meer",
    "river": "in Flüssen und Seen",
    "mountains": "im Gebirge",
    "polar": "in den Polargebieten",
    "grassland": "im Grasland",
    "rainforest": "im Regenwald",
    "wetland": "in Feuchtgebieten",
    "farm": "auf Bauernhöfen",
}
FOODS = {"herbivore": "Pflanzen", "carnivore": "anderen Tieren", "omnivore": "Pflanzen und Tieren"}
DIETS = {"herbivore": "Pflanzenfresser", "carnivore": "Fleischfresser", "omnivore": "Allesfresser"}
RANGES = {"worldwide": "in vielen Teilen der Welt", "oceans": "in den Weltmeeren", "antarctica": "in der Antarktis"}
KINDS = {
    "tree": "der Baum",
    "flower": "die Blume",
    "fruit": "die Obstpflanze",
    "vegetable": "die Gemüsepflanze",
    "grain": "das Getreide",
    "herb": "die Kräuterpflanze",
    "spice": "die Gewürzpflanze",
}
JOBS = {
    "physics": ("Physiker", "Physikerin"),
    "chemistry": ("Chemiker", "Chemikerin"),
    "mathematics": ("Mathematiker", "Mathematikerin"),
    "astronomy": ("Astronom", "Astronomin"),
    "biology": ("Biologe", "Biologin"),
    "medicine": ("Mediziner", "Medizinerin"),
    "geology": ("Geologe", "Geologin"),
    "computer_science": ("Informatiker", "Informatikerin"),
    "engineering": ("Ingenieur", "Ingenieurin"),
    "philosophy": ("Philosoph", "Philosophin"),
}
FIELDS = {
    "physics": "Physik",
    "chemistry": "Chemie",
    "mathematics": "Mathematik",
    "astronomy": "Astronomie",
    "biology": "Biologie",
    "medicine": "Medizin",
    "geology": "Geologie",
    "computer_science": "Informatik",
    "engineering": "Technik",
    "philosophy": "Philosophie",
}
SPHERES = {
    "rocky": "der Gesteinsplanet",
    "gas": "der Gasplanet",
    "ice": "der Eisriese",
    "dwarf": "der Zwergplanet",
    "moon": "der Mond",
}


def continent(key: str) -> str:
    """Where on the globe, with its preposition."""
    return RANGES.get(key) or f"in {CONTINENTS[key]}"


def measure(value: str) -> str:
    """A length given in centimetres."""
    number = float(value)
    if number >= 100:
        return f"{figure(number / 100)} Meter"
    return f"{figure(number)} Zentimeter" if number >= 1 else f"{figure(number * 10)} Millimeter"


def weight(value: str) -> str:
    """A weight given in kilograms."""
    number = float(value)
    if number >= 2000:
        return f"{figure(number / 1000)} Tonnen"
    return f"{figure(number)} Kilogramm" if number >= 1 else f"{figure(number * 1000)} Gramm"


def day_name(month: int, day: int) -> str:
    """Such as 3. Mai."""
    return f"{day}. {MONTHS[month - 1]}"


def date(value: str) -> str:
    """A date or a year from a table, such as 14. März 1879."""
    if len(value) == 10:
        return f"{day_name(int(value[5:7]), int(value[8:]))} {int(value[:4])}"
    return value.lstrip("0")


def on(value: str) -> str:
    """A date with its preposition: am 14. März 1879, im Jahr 1879."""
    return f"{'am' if len(value) == 10 else 'im Jahr'} {date(value)}"
