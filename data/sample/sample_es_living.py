"""Spanish articles about animals and plants."""

from __future__ import annotations

from sample_core import Draft, Group, Row, given, upper_first
from sample_spanish import de, figure, the, words
from sample_spanish_names import CLASS_PLURALS, CLASSES, CONTINENTS, DIETS, FOODS, HABITATS, KINDS, continent, measure, weight
from sample_tables import World

TRAITS = {
    "mammal": [
        "Las crías se alimentan de leche materna.",
        "Como todos los mamíferos, amamanta a sus crías.",
        "Por ser un mamífero, tiene la sangre caliente.",
    ],
    "bird": ["Tiene el cuerpo cubierto de plumas.", "Como todas las aves, pone huevos.", "Tiene dos alas y un pico."],
    "reptile": ["Tiene la piel cubierta de escamas.", "Como la mayoría de los reptiles, se calienta al sol."],
    "amphibian": ["Tiene la piel húmeda.", "Como otros anfibios, necesita agua para sus huevos."],
    "fish": ["Respira por branquias.", "Como otros peces, respira por branquias y nada con aletas."],
    "insect": [
        "Su cuerpo se divide en cabeza, tórax y abdomen.",
        "Como todos los insectos, tiene el cuerpo dividido en tres partes.",
    ],
    "arachnid": ["A diferencia de los insectos, no tiene antenas.", "Como arácnido que es, no tiene antenas."],
    "crustacean": ["Un caparazón duro protege su cuerpo.", "Como otros crustáceos, tiene un caparazón duro."],
    "mollusc": ["Su cuerpo es blando y no tiene huesos.", "Como otros moluscos, tiene un cuerpo blando y sin huesos."],
}
USES = {
    "tree": ["Su madera es útil para las personas.", "En sus ramas anidan las aves.", "En verano da sombra."],
    "flower": [
        "Se planta en los jardines por sus flores.",
        "Sus flores atraen a las abejas y a otros insectos.",
        "Es apreciada como planta ornamental.",
    ],
    "fruit": [
        "Sus frutos se comen frescos o se usan para hacer zumos y mermeladas.",
        "Los frutos maduros saben mejor frescos.",
        "Se cultiva por sus frutos.",
    ],
    "vegetable": [
        "Se come cruda o cocida, según el plato.",
        "Se cultiva en huertos y campos.",
        "En la cocina se emplea en sopas, ensaladas y otros platos.",
    ],
    "grain": [
        "Sus granos se muelen para hacer harina o se cuecen.",
        "Se cultiva en grandes campos.",
        "Sus granos alimentan a personas y animales.",
    ],
    "herb": [
        "Sus hojas dan sabor a las comidas.",
        "En la cocina se usan sus hojas frescas o secas.",
        "Crece bien en jardines y macetas.",
    ],
    "spice": [
        "Se usa para dar sabor a las comidas.",
        "En la cocina se emplea en pequeñas cantidades.",
        "Por su aroma fue un artículo de comercio muy valioso.",
    ],
}
USES["vegetable"][0] = "Se puede comer en crudo o tras la cocción, según el plato."


def animal(world: World, row: Row) -> Draft:
    """An animal."""
    own, name = row["es"], the(row["es"], row["es_g"])
    top, many = upper_first(name), upper_first(the(row["es_pl"], "mp" if row["es_g"] == "m" else "fp"))
    kind, kinds = CLASSES[row["class"]], CLASS_PLURALS[row["class"]]
    home, place = HABITATS[row["habitat"]], continent(row["continent"])
    food, diet, legs, years = FOODS[row["diet"]], DIETS[row["diet"]], int(row["legs"]), row["lifespan_years"]
    limbs = (
        [
            f"Tiene {words(legs)} patas.",
            f"{top} tiene {words(legs)} patas.",
            f"El animal se desplaza sobre {words(legs)} patas." if legs > 2 else f"El animal tiene {words(legs)} patas.",
        ]
        if legs
        else ["No tiene patas.", f"{top} no tiene patas.", "El animal se desplaza sin patas."]
    )
    age: Group = []
    if given(years):
        span = "un año" if years == "1" else f"{figure(years)} años"
        age = (
            [f"Vive alrededor de {span}.", f"Su esperanza de vida es de alrededor de {span}.", f"{many} viven alrededor de {span}."]
            if float(years) >= 1
            else ["Vive menos de un año.", f"{many} viven menos de un año."]
        )
    big = measure(row["length_cm"]) if given(row["length_cm"]) else ""
    mass = given(row["weight_kg"]) and float(row["weight_kg"]) >= 0.001
    return Draft(
        own,
        [
            f"{top} es {kind} que vive {home}.",
            f"{top} es {kind}.",
            f"{top} es un animal que pertenece al grupo {de(kinds)}.",
            f"{top} es {kind} que se encuentra {place}.",
            f"{top} es un animal {diet} de la clase {de(kinds)}.",
        ],
        [
            [
                f"Se alimenta de {food}.",
                f"Su alimentación se basa en {food}.",
                f"Es un animal {diet}: come {food}.",
                f"Por ser un animal {diet}, se alimenta de {food}.",
            ],
            [f"{many} viven {home}.", f"Vive {home}.", f"{top} tiene su hogar {home}."],
            [f"Se encuentra {place}.", f"{many} habitan {place}.", f"El animal vive {place}."],
            [
                f"Mide alrededor de {big} de largo.",
                f"Un ejemplar adulto mide alrededor de {big}.",
                f"Alcanza una longitud de alrededor de {big}.",
            ]
            if big
            else [],
            [
                f"Pesa alrededor de {weight(row['weight_kg'])}.",
                f"Su peso es de alrededor de {weight(row['weight_kg'])}.",
                f"Un ejemplar adulto pesa alrededor de {weight(row['weight_kg'])}.",
            ]
            if mass
            else ["Pesa menos de un gramo.", "Su peso es inferior a un gramo."],
            limbs,
            age,
            TRAITS[row["class"]],
        ],
        [],
        [kind.split(" ", 1)[1], kinds.split(" ", 1)[1], diet],
        [("clase", kind.split(" ", 1)[1]), ("dieta", diet), ("longitud", row["length_cm"]), ("peso", row["weight_kg"])],
        [upper_first(kinds.split(" ", 1)[1])],
    )


def plant(world: World, row: Row) -> Draft:
    """A plant."""
    own, name = row["es"], the(row["es"], row["es_g"])
    top = upper_first(name)
    kind, family, tall = KINDS[row["kind"]], row["family_latin"], measure(row["height_cm"])
    wide = row["continent"] in ("worldwide", "oceans")
    home = CONTINENTS.get(row["continent"], "")
    eat = (
        ["Es una planta comestible.", "La planta, o parte de ella, se puede comer."]
        if row["edible"] == "yes"
        else ["No es una planta comestible.", "La planta no se cultiva como alimento."]
    )
    return Draft(
        own,
        [
            f"{top} es {kind} de la familia {family}.",
            f"{top} es {kind}.",
            f"{top} es una planta que pertenece a la familia {family}.",
            f"{top} es una de las plantas de la familia {family}.",
        ],
        [
            [
                f"Pertenece a la familia {family}.",
                f"Los botánicos incluyen la planta en la familia {family}.",
                f"Su familia botánica se llama {family}.",
            ],
            [f"Procede de {home}.", f"Su lugar de origen es {home}.", f"La planta es originaria de {home}."]
            if not wide
            else ["Crece en muchas partes del mundo.", "La planta se encuentra en todo el mundo."],
            [
                f"Alcanza una altura de alrededor de {tall}.",
                f"Su altura es de alrededor de {tall}.",
                f"Una planta adulta mide alrededor de {tall} de alto.",
            ],
            eat,
            USES[row["kind"]],
            [
                "Como otras plantas verdes, vive de la luz, el agua y el aire.",
                "Necesita luz y agua para crecer.",
                "Sus hojas verdes captan la luz del sol.",
            ],
            [
                "Sus raíces toman agua y minerales del suelo.",
                "Sus raíces sujetan la planta al suelo.",
                "Crece mejor en un suelo rico en minerales.",
            ],
            [
                "Hoy crece también en otras partes del mundo.",
                "Muchas personas conocen esta planta.",
                "Las personas conocen la planta desde hace mucho tiempo.",
            ],
        ],
        [],
        [family, kind.split(" ", 1)[1]],
        [("familia", family), ("altura", row["height_cm"])],
        [family],
    )
