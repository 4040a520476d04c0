"""German articles about animals and plants."""

from __future__ import annotations

from sample_core import Draft, Group, Row, given, upper_first
from sample_german import a, bare, figure, the, words
from sample_german_names import (
    CLASS_PLURALS,
    CLASSES,
    CONTINENTS,
    DIETS,
    FOODS,
    HABITATS,
    KINDS,
    continent,
    measure,
    weight,
)
from sample_tables import World

PRONOUNS = {"m": ("Er", "Sein", "Seine"), "f": ("Sie", "Ihr", "Ihre"), "n": ("Es", "Sein", "Seine")}
TRAITS = {
    "mammal": [
        "Die Jungen werden mit Milch gesäugt.",
        "Wie alle Säugetiere trinken die Jungen Milch bei der Mutter.",
        "Als Säugetier ist das Tier gleichwarm.",
    ],
    "bird": [
        "Der Körper ist mit Federn bedeckt.",
        "Wie alle Vögel legt das Tier Eier.",
        "Das Tier hat zwei Flügel und einen Schnabel.",
    ],
    "reptile": ["Die Haut ist mit Schuppen bedeckt.", "Wie die meisten Reptilien wärmt sich das Tier in der Sonne."],
    "amphibian": ["Die Haut ist feucht.", "Wie andere Amphibien braucht das Tier Wasser für seine Eier."],
    "fish": ["Das Tier atmet durch Kiemen.", "Wie andere Fische atmet das Tier mit Kiemen und schwimmt mit Flossen."],
    "insect": ["Der Körper besteht aus Kopf, Brust und Hinterleib.", "Wie bei allen Insekten hat der Körper drei Teile."],
    "arachnid": ["Anders als Insekten hat das Tier keine Fühler.", "Als Spinnentier hat es keine Fühler."],
    "crustacean": ["Ein harter Panzer schützt den Körper.", "Wie andere Krebstiere hat das Tier einen harten Panzer."],
    "mollusc": [
        "Der Körper ist weich und hat keine Knochen.",
        "Wie andere Weichtiere hat das Tier einen weichen Körper ohne Knochen.",
    ],
}
USES = {
    "tree": ["Das Holz wird von Menschen genutzt.", "In den Ästen nisten Vögel.", "Im Sommer spendet der Baum Schatten."],
    "flower": [
        "Wegen der Blüten wird sie in Gärten gepflanzt.",
        "Die Blüten locken Bienen und andere Insekten an.",
        "Als Zierpflanze ist die Art beliebt.",
    ],
    "fruit": [
        "Die Früchte werden frisch gegessen oder zu Saft und Marmelade verarbeitet.",
        "Reife Früchte schmecken frisch am besten.",
        "Angebaut wird die Pflanze wegen ihrer Früchte.",
    ],
    "vegetable": [
        "Man isst das Gemüse roh oder gekocht.",
        "Angebaut wird das Gemüse in Gärten und auf Feldern.",
        "In der Küche verwendet man das Gemüse für Suppen, Salate und andere Gerichte.",
    ],
    "grain": [
        "Die Körner werden zu Mehl gemahlen oder gekocht.",
        "Angebaut wird das Getreide auf großen Feldern.",
        "Die Körner ernähren Menschen und Tiere.",
    ],
    "herb": [
        "Die Blätter geben Speisen ihr Aroma.",
        "In der Küche werden die Blätter frisch oder getrocknet verwendet.",
        "Die Pflanze gedeiht gut in Gärten und in Töpfen.",
    ],
    "spice": [
        "Man verwendet das Gewürz für viele Speisen.",
        "In der Küche genügen kleine Mengen davon.",
        "Wegen seines Aromas war das Gewürz eine begehrte Handelsware.",
    ],
}


def animal(world: World, row: Row) -> Draft:
    """An animal."""
    name = the(row["de"], row["de_g"])
    own, top, many = bare(name), upper_first(name), upper_first(row["de_pl"])
    he, his, her = PRONOUNS[row["de_g"]]
    kind, dative = CLASSES[row["class"]]
    home, place = HABITATS[row["habitat"]], continent(row["continent"])
    food, diet, legs, years = FOODS[row["diet"]], DIETS[row["diet"]], int(row["legs"]), row["lifespan_years"]
    limbs = (
        [
            f"{he} hat {words(legs)} Beine.",
            f"Das Tier hat {words(legs)} Beine.",
            f"{top} läuft auf {words(legs)} Beinen." if legs > 2 else f"{top} hat {words(legs)} Beine.",
        ]
        if legs
        else [f"{he} hat keine Beine.", "Das Tier hat keine Beine.", f"Beine hat {name} nicht."]
    )
    age: Group = []
    if given(years):
        span = "ein Jahr" if years == "1" else f"{figure(years)} Jahre"
        age = (
            [f"{he} wird etwa {span} alt.", f"Die Lebenserwartung beträgt etwa {span}.", f"{many} werden etwa {span} alt."]
            if float(years) >= 1
            else [f"{he} lebt weniger als ein Jahr.", f"{many} leben weniger als ein Jahr."]
        )
    big = measure(row["length_cm"]) if given(row["length_cm"]) else ""
    mass = given(row["weight_kg"]) and float(row["weight_kg"]) >= 0.001
    return Draft(
        own,
        [
            f"{top} ist {a(kind)}, {'die' if kind.startswith('die') else 'der' if kind.startswith('der') else 'das'} {home} lebt.",
            f"{top} ist {a(kind)}.",
            f"{top} gehört zu den {dative}.",
            f"{top} ist ein Tier aus der Klasse der {CLASS_PLURALS[row['class']]}.",
            f"{top} ist {a(kind)} und kommt {place} vor.",
        ],
        [
            [
                f"{he} ernährt sich von {food}.",
                f"Die Nahrung besteht aus {food}.",
                f"{top} ist ein {diet}.",
                f"Als {diet} ernährt sich das Tier von {food}.",
            ],
            [f"{many} leben {home}.", f"{he} lebt {home}.", f"{top} ist {home} zu Hause."],
            [f"{he} kommt {place} vor.", f"{many} kommen {place} vor.", f"Man findet das Tier {place}."],
            [f"{he} wird etwa {big} lang.", f"Ein ausgewachsenes Tier ist etwa {big} lang.", f"{her} Länge beträgt etwa {big}."]
            if big
            else [],
            [
                f"{he} wiegt etwa {weight(row['weight_kg'])}.",
                f"{his} Gewicht beträgt etwa {weight(row['weight_kg'])}.",
                f"Ein ausgewachsenes Tier wiegt etwa {weight(row['weight_kg'])}.",
            ]
            if mass
            else [f"{he} wiegt weniger als ein Gramm.", f"{his} Gewicht liegt unter einem Gramm."],
            limbs,
            age,
            TRAITS[row["class"]],
        ],
        [],
        [bare(kind), CLASS_PLURALS[row["class"]], diet],
        [("Klasse", bare(kind)), ("Ernährung", diet), ("Länge", row["length_cm"]), ("Gewicht", row["weight_kg"])],
        [CLASS_PLURALS[row["class"]]],
    )


def plant(world: World, row: Row) -> Draft:
    """A plant."""
    name = the(row["de"], row["de_g"])
    own, top = bare(name), upper_first(name)
    he, _, her = PRONOUNS.get(row["de_g"], PRONOUNS["f"])
    kind, family, tall = KINDS[row["kind"]], row["family_latin"], measure(row["height_cm"])
    wide = row["continent"] in ("worldwide", "oceans")
    home = "der Antarktis" if row["continent"] == "antarctica" else CONTINENTS.get(row["continent"], "")
    eat = (
        ["Sie ist essbar.", "Man kann die Pflanze oder Teile von ihr essen.", "Die Pflanze ist essbar."]
        if row["edible"] == "yes"
        else ["Die Pflanze ist nicht essbar.", "Als Nahrung dient sie dem Menschen nicht.", "Essbar ist die Pflanze nicht."]
    )
    return Draft(
        own,
        [
            f"{top} ist {a(kind)} aus der Familie {family}.",
            f"{top} ist {a(kind)}.",
            f"{top} ist eine Pflanze, die zur Familie {family} gehört.",
            f"{top} gehört zu den Pflanzen der Familie {family}.",
        ],
        [
            [
                f"{he} gehört zur Familie {family}.",
                f"In der Botanik rechnet man die Pflanze zur Familie {family}.",
                f"Die Pflanzenfamilie heißt {family}.",
            ],
            [
                f"{he} stammt aus {home}.",
                f"Die ursprüngliche Heimat der Pflanze ist {home.replace('der Ant', 'die Ant')}.",
                f"Die Pflanze kommt ursprünglich aus {home}.",
            ]
            if not wide
            else [f"{he} wächst in vielen Teilen der Welt.", "Die Pflanze ist in vielen Teilen der Welt verbreitet."],
            [f"{he} wird etwa {tall} hoch.", f"{her} Höhe beträgt etwa {tall}.", f"Ausgewachsene Pflanzen sind etwa {tall} hoch."],
            [eat[1], eat[2]] if row["edible"] == "yes" else [eat[0], eat[2]],
            USES[row["kind"]] if row["kind"] != "flower" else [u.replace(" sie ", " die Pflanze ") for u in USES["flower"]],
            [
                f"Wie andere grüne Pflanzen lebt {he.lower()} von Licht, Wasser und Luft.",
                "Die Pflanze braucht Licht und Wasser zum Wachsen.",
                "Die grünen Blätter nehmen das Licht der Sonne auf.",
            ],
            [
                "Die Wurzeln nehmen Wasser und Mineralstoffe aus dem Boden auf.",
                "Die Wurzeln geben der Pflanze festen Halt im Boden.",
                "Am besten wächst die Pflanze in nährstoffreichem Boden.",
            ],
            [
                f"{top} ist vielen Menschen bekannt.",
                "Den Menschen ist die Pflanze seit sehr langer Zeit bekannt.",
                "Heute wächst die Pflanze auch in anderen Teilen der Welt.",
            ],
        ],
        [],
        [family, bare(kind)],
        [("Familie", family), ("Höhe", row["height_cm"])],
        [family],
    )
