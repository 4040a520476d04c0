"""Spanish articles about chemical elements, planets and moons."""

from __future__ import annotations

from sample_core import Draft, Group, Row, given, upper_first
from sample_spanish import de, figure, listed, the
from sample_spanish_names import CATEGORIES, SPHERES, STATES
from sample_tables import World


def element(world: World, row: Row) -> Draft:
    """A chemical element."""
    own, sign, number = row["es"], row["symbol"], int(row["number"])
    name = the(own, row["es_g"])
    top = upper_first(name)
    kind, kinds = CATEGORIES[row["category"]]
    found, who = row["year"], row["discoverer"]
    table = {int(r["number"]): the(r["es"], r["es_g"]) for r in world.tables["elements"].values()}
    near = [table[n] for n in (number - 1, number + 1) if n in table]
    history = (
        [
            f"El elemento fue descubierto en {found}.",
            f"El elemento se conoce desde {found}.",
            f"El año de su descubrimiento es {found}.",
        ]
        if given(found)
        else ["Se conoce desde la Antigüedad.", "Ya se conocía en la Antigüedad."]
    )
    if given(found) and given(who):
        history = [
            f"El elemento fue descubierto en {found} por {who}.",
            f"{who} descubrió el elemento en {found}.",
            f"Su descubrimiento, en {found}, se debe a {who}.",
        ]
    period = f"Se sitúa en el período {row['period']} de la tabla periódica."
    return Draft(
        own,
        [
            f"{top} es un elemento químico de símbolo {sign} y número atómico {number}.",
            f"{top} es el elemento químico de número atómico {number}; su símbolo es {sign}.",
            f"{top} es un {kind} cuyo símbolo es {sign}.",
            f"{top} es un elemento químico del grupo de los {kinds}.",
        ],
        [
            [f"Su símbolo es {sign}.", f"En las fórmulas químicas se representa con {sign}.", f"El símbolo {de(name)} es {sign}."],
            [
                f"Su número atómico es {number}.",
                f"Un átomo del elemento tiene {number} protones en su núcleo."
                if number > 1
                else "Un átomo del elemento tiene un solo protón en su núcleo.",
                f"En la tabla periódica lleva el número {number}.",
            ],
            [
                f"Se sitúa en el grupo {row['group']} y el período {row['period']} de la tabla periódica.",
                f"Pertenece al grupo {row['group']} de la tabla periódica.",
                period,
            ]
            if given(row["group"])
            else [period, f"Pertenece al período {row['period']} de la tabla periódica."],
            [
                f"A temperatura ambiente se encuentra en estado {STATES[row['state']]}.",
                f"En condiciones normales, su estado es {STATES[row['state']]}.",
                f"A temperatura ambiente, su estado es {STATES[row['state']]}.",
            ]
            if number < 104
            else [
                "Solo se han producido unos pocos átomos del elemento.",
                "No existe en la naturaleza y se desintegra con rapidez.",
            ],
            [
                f"Su masa atómica es de unas {figure(row['mass'])} unidades.",
                f"La masa atómica del elemento es aproximadamente {figure(row['mass'])}.",
            ],
            history,
            [
                f"Es un {kind}.",
                f"Los químicos lo incluyen entre los {kinds}."
                if row["es_g"] == "m"
                else f"Los químicos la incluyen entre los {kinds}.",
                f"Por sus propiedades, es un {kind}.",
            ],
            [
                f"Sus vecinos en la tabla periódica son {near[0]} y {near[1]}.",
                f"En la tabla periódica está entre {near[0]} y {near[1]}.",
            ]
            if len(near) == 2
            else [f"Su vecino en la tabla periódica es {near[0]}."],
        ],
        [],
        [kind, "tabla periódica", "número atómico", *[n.split(" ", 1)[1] for n in near]],
        [("símbolo", sign), ("número", str(number)), ("masa", row["mass"]), ("serie", kind)],
        ["Elementos químicos"],
    )


def planet(world: World, row: Row) -> Draft:
    """A planet, a dwarf planet or a moon."""
    own, key, moon = row["es"], row["key"], row["type"] == "moon"
    top = upper_first(f"la {own}") if key in ("earth", "moon") else own
    kind, bodies = SPHERES[row["type"]], world.tables["planets_and_moons"]
    wide, turn = figure(row["diameter_km"]), figure(row["orbit_days"])
    parent = bodies.get(row["parent"])
    home = ("la Tierra" if row["parent"] == "earth" else parent["es"]) if parent else "el Sol"
    about = f"alrededor {de(home)}"
    far = f"{figure(float(row['distance']) * 1000)} kilómetros" if moon else f"{figure(row['distance'])} millones de kilómetros"
    kids = [r["es"] for r in bodies.values() if r["parent"] == key][:5]
    days = f"{turn} día{'s' * (turn != '1')}"
    groups: list[Group] = [
        [
            f"Su diámetro es de unos {wide} kilómetros.",
            f"Tiene un diámetro de unos {wide} kilómetros.",
            f"{top} tiene unos {wide} kilómetros de diámetro.",
        ],
        [f"Gira {about} a una distancia media de unos {far}.", f"Su distancia media {de_from(home)} es de unos {far}."],
        [
            f"Da una vuelta {about} en unos {days}.",
            f"Tarda unos {days} en dar una vuelta {about}.",
            f"Una vuelta {about} dura unos {days}.",
        ],
        [
            f"Entre sus satélites figuran {listed(kids)}."
            if len(kids) > 1
            else f"Su satélite más conocido es {'la Luna' if kids[0] == 'Luna' else kids[0]}."
        ]
        if kids
        else [],
        {
            "rocky": ["Su superficie es de roca.", "Como los demás planetas interiores, tiene una superficie sólida de roca."],
            "gas": ["Se compone sobre todo de hidrógeno y helio.", "No tiene una superficie sólida."],
            "ice": ["Su atmósfera contiene hidrógeno, helio y metano.", "Es frío y está lejos del Sol."],
            "dwarf": ["Es demasiado pequeño para contarse entre los planetas.", "Los ocho planetas son más grandes."],
            "moon": [f"Es un satélite natural {de(home)}.", f"Acompaña {'a ' + home} en su camino alrededor del Sol."],
        }[row["type"]],
        [
            "Como todos los cuerpos del sistema solar, refleja la luz del Sol.",
            "No brilla por sí mismo, sino que refleja la luz del Sol."
            if key not in ("earth", "moon")
            else "Refleja la luz del Sol.",
            "Pertenece al sistema solar.",
        ],
        [
            "Los astrónomos estudian este cuerpo celeste con telescopios y sondas espaciales.",
            "Las sondas espaciales han enviado imágenes de allí a la Tierra.",
            "Mucho de lo que se sabe se debe a las sondas espaciales.",
        ]
        if key != "earth"
        else ["Es el único planeta en el que se conoce la vida.", "La mayor parte de su superficie está cubierta de agua."],
    ]
    return Draft(
        own,
        [
            f"{top} es un {kind} que gira {about}.",
            f"{top} es un {kind} con un diámetro de unos {wide} kilómetros.",
            f"{top} es un {kind} del sistema solar.",
            f"{top} es un cuerpo celeste del sistema solar que gira {about}.",
        ],
        groups,
        [],
        [home.split(" ")[-1], kind, *kids],
        [("tipo", kind), ("diámetro", row["diameter_km"])],
        ["Sistema solar"],
    )


def de_from(home: str) -> str:
    """The second end of a distance: al Sol, a la Tierra, a Júpiter."""
    return f"al {home[3:]}" if home.startswith("el ") else f"a {home}"
