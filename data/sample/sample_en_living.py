"""English articles about animals and plants."""

from __future__ import annotations

from sample_core import Draft, Group, Row, given, upper_first
from sample_english import (
    CLASS_PLURALS,
    CLASSES,
    FOODS,
    HABITATS,
    KINDS,
    an,
    continent,
    length,
    weight,
    words,
)
from sample_tables import World


def animal(world: World, row: Row) -> Draft:
    """An animal."""
    own, many, kind = row["en"], upper_first(row["en_pl"]), CLASSES[row["class"]]
    home, place, food, diet = HABITATS[row["habitat"]], continent(row["continent"]), FOODS[row["diet"]], row["diet"]
    kinds = CLASS_PLURALS.get(row["class"], kind + "s")
    legs = int(row["legs"])
    limbs = (
        [
            f"It has {words(legs)} legs.",
            f"Like its relatives, the {own} has {words(legs)} legs.",
            f"The animal moves on {words(legs)} legs.",
        ]
        if legs
        else ["It has no legs.", f"The {own} has no legs.", "The animal moves without legs."]
    )
    years = row["lifespan_years"]
    age: Group = []
    if given(years):
        span = "one year" if years == "1" else f"{years} years" if float(years) >= 1 else "less than a year"
        age = [f"It lives for about {span}.", f"Its lifespan is about {span}.", f"{many} reach an age of about {span}."]
        if span.startswith("less"):
            age = [f"It lives for {span}.", f"{many} live for {span}."]
    return Draft(
        own,
        [
            f"The {own} is {an(kind)} that lives {home}.",
            f"The {own} is {an(kind)}.",
            f"The {own} is {an(kind)} found {place}.",
            f"The {own} is an animal that belongs to the {kinds}.",
            f"The {own} is {an(diet)} from the class of the {kinds}.",
        ],
        [
            [
                f"It feeds on {food}.",
                f"Its food consists of {food}.",
                f"The {own} eats {food} and is therefore {an(diet)}.",
                f"As {an(diet)}, it eats {food}.",
            ],
            [f"{many} live {home}.", f"It lives {home}.", f"The {own} is at home {home}."],
            [f"It is found {place}.", f"{many} occur {place}.", f"One meets it {place}."],
            [
                f"It grows to a length of about {length(row['length_cm'])}.",
                f"Its body is about {length(row['length_cm'])} long.",
                f"A grown animal is about {length(row['length_cm'])} long.",
            ]
            if given(row["length_cm"])
            else [],
            [
                f"It weighs about {weight(row['weight_kg'])}.",
                f"A grown animal weighs about {weight(row['weight_kg'])}.",
                f"Its weight is about {weight(row['weight_kg'])}.",
            ]
            if given(row["weight_kg"]) and float(row["weight_kg"]) >= 0.001
            else ["It weighs less than one gram.", "Its weight is less than one gram."],
            limbs,
            age,
            {
                "mammal": [
                    "The young drink their mother's milk.",
                    "Like all mammals, it feeds its young with milk.",
                    "As a mammal it has warm blood.",
                ],
                "bird": ["Its body is covered with feathers.", "Like all birds, it lays eggs.", "It has two wings and a beak."],
                "reptile": ["Its skin is covered with scales.", "Like most reptiles, it warms itself in the sun."],
                "amphibian": ["Its skin is moist.", "Like other amphibians, it needs water for its eggs."],
                "fish": ["It breathes through gills.", "Like other fish, it breathes with gills and swims with fins."],
                "insect": ["Its body has a head, a thorax and an abdomen.", "Like all insects, it has a body in three parts."],
                "arachnid": ["Unlike insects, it has no antennae.", "As an arachnid it has no antennae."],
                "crustacean": ["A hard shell protects its body.", "Like other crustaceans, it has a hard shell."],
                "mollusc": ["Its body is soft and has no bones.", "Like other molluscs, it has a soft body without bones."],
            }[row["class"]],
        ],
        [],
        [kind, "animal", diet],
        [("class", kind), ("diet", diet), ("length_cm", row["length_cm"]), ("weight_kg", row["weight_kg"])],
        [upper_first(kinds)],
    )


def plant(world: World, row: Row) -> Draft:
    """A plant."""
    own, kind, place = row["en"], KINDS[row["kind"]], continent(row["continent"])
    mass = row["en_pl"] == own or row["kind"] in ("grain", "herb", "spice")
    name = own if mass else f"the {own}"
    top = upper_first(name)
    home = place.removeprefix("in ")
    use = {
        "tree": ["Its wood is used by people.", "Birds nest in its branches.", "It gives shade in summer."],
        "flower": [
            "It is planted in gardens for its blossoms.",
            "Its blossoms attract bees and other insects.",
            "People like it as an ornamental plant.",
        ],
        "fruit": [
            "Its fruit is eaten fresh or made into juice and jam.",
            "The ripe fruit tastes best fresh.",
            "It is grown for its fruit.",
        ],
        "vegetable": [
            "It is eaten raw or cooked.",
            "It is grown in gardens and fields.",
            "In the kitchen it goes into soups, salads and other dishes.",
        ],
        "grain": [
            "Its grains are ground into flour or cooked.",
            "It is grown in large fields.",
            "Its grains feed people and animals.",
        ],
        "herb": [
            "Its leaves give dishes their flavour.",
            "In the kitchen its leaves are used fresh or dried.",
            "It grows well in gardens and in pots.",
        ],
        "spice": [
            "It is used to flavour food.",
            "In the kitchen it is used in small amounts.",
            "Its strong flavour made it a valued article of trade.",
        ],
    }[row["kind"]]
    eat = (
        ["It is edible.", "It can be eaten.", f"People eat {name} or parts of it."]
        if row["edible"] == "yes"
        else ["It is not edible.", "It is not grown for food.", "People do not eat it."]
    )
    return Draft(
        top if mass else own,
        [
            f"{top} is {an(kind)} of the family {row['family_latin']}.",
            f"{top} is {an(kind)}.",
            f"{top} is a plant that belongs to the family {row['family_latin']}.",
            f"{top} is {an(kind)} that grows to a height of about {length(row['height_cm'])}.",
        ],
        [
            [
                f"It belongs to the family {row['family_latin']}.",
                f"Botanists place it in the family {row['family_latin']}.",
                f"Its plant family is called {row['family_latin']}.",
            ],
            [f"It comes from {home}.", f"Its original home is {home}.", f"{top} comes originally from {home}."]
            if row["continent"] not in ("worldwide", "oceans")
            else ["It grows in many parts of the world.", f"{top} is found all over the world."],
            [
                f"It grows to a height of about {length(row['height_cm'])}.",
                f"Its height is about {length(row['height_cm'])}.",
                f"A grown plant is about {length(row['height_cm'])} tall.",
            ],
            eat,
            use,
            [
                "Like other green plants, it lives on light, water and air.",
                "It needs light and water to grow.",
                "Its green leaves take in the light of the sun.",
            ],
            [
                "Its roots draw water and minerals from the soil.",
                "Its roots hold it firmly in the ground.",
                "It grows best in soil that is rich in minerals.",
            ],
            [
                f"Today {name} is also grown in other parts of the world.",
                f"{top} is known to many people.",
                "It has been known to people for a very long time.",
            ],
        ],
        [],
        [row["family_latin"], kind],
        [("family", row["family_latin"]), ("height_cm", row["height_cm"])],
        [f"{row['family_latin']}"],
    )
