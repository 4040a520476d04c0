"""Spanish articles about countries, capitals and cities."""

from __future__ import annotations

from sample_core import Draft, Group, Row, upper_first
from sample_spanish import amount, de, figure, land, listed, people, the
from sample_spanish_names import CONTINENTS
from sample_tables import World


def country(world: World, row: Row) -> Draft:
    """A country."""
    own, name, where, cap = row["es"], land(row), CONTINENTS[row["continent"]], row["capital_es"]
    top, many = upper_first(name), row["es_art"] in ("los", "las")
    are, have = ("son", "tienen") if many else ("es", "tiene")
    tongues, area, money = world.tongues(row, "es"), figure(row["area_km2"]), row["cur_es"]
    souls = people(row["population"])
    speech: Group = []
    if tongues:
        if len(tongues) > 1:
            said = listed([f"el {t}" for t in tongues])
            speech = [
                f"Los idiomas oficiales son {said}.",
            ]
        else:
            speech = [
                f"El idioma oficial es el {tongues[0]}.",
                f"La lengua oficial del país es el {tongues[0]}.",
                f"El {tongues[0]} es el idioma oficial {de(name)}.",
            ]
    more: list[Group] = []
    cities = [r["es"] for r in world.in_country["cities", row["key"]]][:4]
    rivers = [the(r["es"], r["es_g"]) for r in world.in_country["rivers", row["key"]]][:3]
    peaks = [r["es"] for r in world.in_country["mountains", row["key"]]][:3]
    minds = [r["es"] for r in world.in_country["scientists", row["key"]]][:3]
    if cities:
        more.append(
            [
                f"Además de la capital, otras ciudades importantes son {listed(cities)}."
                if len(cities) > 1
                else f"Además de la capital, otra ciudad importante es {cities[0]}.",
                f"Entre sus ciudades más conocidas {'figuran' if len(cities) > 1 else 'figura'} {listed(cities)}.",
            ]
        )
    if rivers:
        more.append(
            [
                f"Por el país {'pasan' if len(rivers) > 1 else 'pasa'} {listed(rivers)}.",
                f"Entre sus ríos {'figuran' if len(rivers) > 1 else 'figura'} {listed(rivers)}.",
            ]
        )
    if peaks:
        more.append([f"Entre sus montañas {'figuran' if len(peaks) > 1 else 'figura'} {listed(peaks)}."])
    if minds:
        more.append(
            [
                f"Entre los científicos nacidos en el territorio actual del país "
                f"{'figuran' if len(minds) > 1 else 'figura'} "
                f"{listed(minds)}.",
                f"En el territorio actual del país {'nacieron' if len(minds) > 1 else 'nació'} {listed(minds)}.",
            ]
        )
    return Draft(
        own,
        [
            f"{top} {are} un país de {where}.",
            f"{top} {are} un país situado en {where} con unos {souls}."
            if not amount(row["population"]).startswith("1 mill")
            else f"{top} {are} un país situado en {where}.",
            f"{top} {are} un Estado de {where} cuya capital es {cap}.",
            f"{top} {are} un Estado soberano de {where}.",
        ],
        [
            [
                f"Su capital es {cap}.",
                f"La capital {de(name)} es {cap}.",
                f"El Gobierno tiene su sede en la capital, {cap}.",
                f"{cap} es la capital del país.",
            ],
            [
                f"Tiene una superficie de unos {area} kilómetros cuadrados."
                if not many
                else f"Tienen una superficie de unos {area} kilómetros cuadrados.",
                f"La superficie del país es de unos {area} kilómetros cuadrados.",
                f"El territorio ocupa unos {area} kilómetros cuadrados.",
            ],
            [
                f"En el país viven cerca de {people(row['population'], 'personas')}.",
                f"{top} {have} cerca de {souls}.",
                f"La población es de cerca de {souls}.",
            ],
            speech,
            [
                f"La moneda es {money}.",
                f"Su moneda es {money}.",
                f"Como moneda se utiliza {money}.",
            ],
            [
                f"Su código de país es {row['iso']}.",
                f"En las listas internacionales, el país lleva el código {row['iso']}.",
                f"El código {de(name)} es {row['iso']}.",
            ],
            [f"El país forma parte de {where}.", f"En el mapa se encuentra en {where}."],
        ],
        [("Geografía y población", more)] if more else [],
        [cap, where, *tongues, *cities, *minds],
        [
            ("capital", cap),
            ("continente", where),
            ("superficie", row["area_km2"]),
            ("población", row["population"]),
            ("moneda", money.split(" ", 1)[1]),
            ("código", row["iso"]),
        ],
        [f"Países de {where}"],
    )


def capital(world: World, row: Row) -> Draft:
    """The capital of a country."""
    cap, name, where = row["capital_es"], land(row), CONTINENTS[row["continent"]]
    tongues, souls = world.tongues(row, "es"), people(row["population"])
    said = listed([f"el {t}" for t in tongues]) if tongues else ""
    plural = len(tongues) > 1
    return Draft(
        cap,
        [
            f"{cap} es la capital {de(name)}.",
            f"{cap} es una ciudad de {where} y la capital {de(name)}.",
            f"{cap} es la capital {de(name)}, un país de {where}.",
            f"{cap} es la capital y la sede del Gobierno {de(name)}.",
        ],
        [
            [f"La ciudad se encuentra en {where}.", f"Es una de las capitales de {where}.", f"En el mapa se encuentra en {where}."],
            [
                f"{'Los idiomas oficiales de la ciudad son' if plural else 'El idioma oficial de la ciudad es'} {said}.",
                f"En las calles y oficinas de la ciudad se {'hablan' if plural else 'habla'} sobre todo {said}.",
                f"Aquí, como en todo el país, {'son oficiales' if plural else 'es oficial'} {said}.",
            ]
            if tongues
            else [],
            [
                f"La moneda que se usa en la ciudad es {row['cur_es']}.",
                f"También aquí la moneda es {row['cur_es']}.",
                f"La moneda es {row['cur_es']}.",
            ],
            [
                f"Es la capital de un Estado con cerca de {souls}.",
                f"El país que se gobierna desde aquí tiene cerca de {souls}.",
                f"En todo el país viven cerca de {people(row['population'], 'personas')}.",
            ],
            [
                f"El país tiene una superficie de unos {figure(row['area_km2'])} kilómetros cuadrados.",
                f"La superficie del país es de unos {figure(row['area_km2'])} kilómetros cuadrados.",
            ],
            [
                "El Gobierno y los ministerios más importantes tienen aquí su sede.",
                "Como capital, acoge al Gobierno y a muchas embajadas.",
                "En la ciudad se reúne el Gobierno del país.",
            ],
            [
                f"El correo dirigido a {cap} lleva el código de país {row['iso']}.",
                f"El código del país en el que se encuentra la ciudad es {row['iso']}.",
            ],
            [
                "Muchas carreteras del país llegan hasta la ciudad.",
                "Sus museos y teatros atraen a visitantes de todo el país.",
                "Quien visita el país suele llegar primero a la capital.",
            ],
        ],
        [],
        [row["es"], where, *tongues],
        [("país", row["es"]), ("continente", where), ("estatus", "capital")],
        [f"Capitales de {where}"],
    )


def city(world: World, row: Row) -> Draft:
    """A city that is not a capital."""
    own, state = row["es"], world.countries(row)[0]
    name, where, souls = land(state), CONTINENTS[state["continent"]], people(row["population"])
    river_row = world.tables["rivers"].get(row["river"])
    flow = the(river_row["es"], river_row["es_g"]) if river_row else ""
    tongues = world.tongues(state, "es")
    said, plural = listed([f"el {t}" for t in tongues]) if tongues else "", len(tongues) > 1
    stream = (
        [f"La ciudad está a orillas {de(flow)}.", f"Por la ciudad pasa {flow}.", f"Se encuentra a orillas {de(flow)}."]
        if flow
        else []
    )
    sea = (
        ["Se encuentra junto al mar y tiene un puerto.", "La ciudad está en la costa.", f"{own} está junto al mar."]
        if row["coast"] == "yes"
        else [
            "La ciudad se encuentra en el interior, lejos de la costa.",
            "No tiene salida al mar.",
            "La ciudad no está junto al mar.",
        ]
    )
    old = (
        [
            f"Fue fundada en {row['founded']}.",
            f"La fundación de la ciudad data de {row['founded']}.",
            f"Su historia se remonta al año {row['founded']}.",
        ]
        if row["founded"].isdigit()
        else []
    )
    peers = [r["es"] for r in world.in_country["cities", state["key"]] if r["key"] != row["key"]][:3]
    return Draft(
        own,
        [
            f"{own} es una ciudad {de(name)}.",
            f"{own} es una ciudad {de(name)} con cerca de {souls}.",
            f"{own} es una de las ciudades más grandes {de(name)}.",
            f"{own} es una ciudad de {where} que pertenece a {name}."
            if not name.startswith("el ")
            else f"{own} es una ciudad de {where} que pertenece al {name[3:]}.",
        ],
        [
            [
                f"En la ciudad viven cerca de {people(row['population'], 'personas')}.",
                f"La ciudad tiene cerca de {souls}.",
                f"Su población es de cerca de {souls}.",
            ],
            stream,
            sea,
            old,
            [
                f"La capital del país no es {own}, sino {state['capital_es']}.",
                f"El país se gobierna desde la capital, {state['capital_es']}.",
                f"La capital {de(name)} es {state['capital_es']}.",
            ],
            [
                f"{'Los idiomas oficiales son' if plural else 'El idioma oficial es'} {said}.",
                f"En la ciudad se {'hablan' if plural else 'habla'} {said}.",
            ]
            if tongues
            else [],
            [f"La moneda es {state['cur_es']}.", f"Como en el resto del país, la moneda es {state['cur_es']}."],
            [f"Otras ciudades {de(name)} son {listed(peers)}.", f"A menudo se compara la ciudad con {listed(peers)}."]
            if len(peers) > 1
            else [],
            [f"Como todo el país, la ciudad forma parte de {where}.", f"En el mapa se encuentra en {where}."],
        ],
        [],
        [state["es"], state["capital_es"], flow.split(" ", 1)[1] if flow else where, *peers],
        [("país", state["es"]), ("población", row["population"])],
        [f"Localidades {de(name)}"],
    )
