"""Spanish articles about rivers and mountains."""

from __future__ import annotations

from sample_core import Draft, Row, given, upper_first
from sample_spanish import al, de, figure, land, listed, the
from sample_spanish_names import CONTINENTS
from sample_tables import World


def river(world: World, row: Row) -> Draft:
    """A river."""
    own, name, where = row["es"], the(row["es"], row["es_g"]), CONTINENTS[row["continent"]]
    top, states = upper_first(name), world.countries(row)
    lands = [land(c) for c in states]
    towns = [r["es"] for r in world.tables["cities"].values() if r["river"] == row["key"]][:4]
    long, mouth = figure(row["length_km"]), row["mouth_es"]
    return Draft(
        own,
        [
            f"{top} es un río de {where}.",
            f"{top} es un río de {where} que desemboca en {mouth}.",
            f"{top} es un río de unos {long} kilómetros de longitud.",
            f"{top} es un río que pasa por {listed(lands[:4])}." if lands else f"{top} es un río.",
        ],
        [
            [
                f"Tiene unos {long} kilómetros de longitud.",
                f"Su longitud es de unos {long} kilómetros.",
                f"Desde la fuente hasta la desembocadura mide unos {long} kilómetros.",
            ],
            [
                f"Desemboca en {mouth}.",
                f"Al final de su curso llega {al(mouth)}.",
                f"{top} desemboca en {mouth}.",
                f"Sus aguas terminan en {mouth}.",
            ],
            [f"En su recorrido pasa por {listed(lands)}.", f"Su curso pasa por {listed(lands)}."] if lands else [],
            [
                f"En sus orillas {'se encuentran' if len(towns) > 1 else 'se encuentra'} {listed(towns)}.",
                f"{listed(towns)} {'están' if len(towns) > 1 else 'está'} a orillas del río.",
            ]
            if towns
            else [],
            [f"Es uno de los ríos de {where}.", f"En el mapa se encuentra en {where}."],
            [
                "Abastece de agua a las personas y los campos de sus orillas.",
                "Los agricultores usan el agua del río para sus campos.",
                "Muchas personas de sus orillas viven de la pesca y la agricultura.",
            ],
            [
                "Por algunas partes del río navegan barcos.",
                "Puentes y transbordadores unen sus dos orillas.",
                "En varios lugares hay puentes sobre el río.",
            ],
            [
                "Después de lluvias fuertes, su nivel sube con rapidez.",
                "El nivel del agua cambia con las estaciones.",
                "En los meses secos lleva menos agua.",
            ],
        ],
        [],
        [where, *[c["es"] for c in states], *towns],
        [("longitud", row["length_km"]), ("desembocadura", mouth)],
        [f"Ríos de {where}"],
    )


def mountain(world: World, row: Row) -> Draft:
    """A mountain."""
    own, where, high = row["es"], CONTINENTS[row["continent"]], figure(row["height_m"])
    name = the(own, row["es_g"])
    top, states, chain = upper_first(name), world.countries(row), row["range_es"]
    lands = [land(c) for c in states]
    return Draft(
        own,
        [
            f"{top} es una montaña de {where}.",
            f"{top} es una montaña de {where} de {high} metros de altura.",
            (
                f"{top} es una montaña situada en la frontera entre {listed(lands)}."
                if len(lands) > 1
                else f"{top} es una montaña situada en {lands[0]}."
            )
            if lands
            else f"{top} es una montaña.",
            f"{top} es una montaña con una altura de {high} metros.",
        ],
        [
            [
                f"Tiene {high} metros de altura.",
                f"Su cumbre se eleva a {high} metros sobre el nivel del mar.",
                f"La cumbre está a {high} metros de altura.",
            ],
            [f"Pertenece {al(chain)}.", f"La montaña forma parte {de(chain)}.", f"Se encuentra en {chain}."]
            if given(chain)
            else [],
            (
                [f"La frontera entre {listed(lands)} pasa por la montaña.", f"La comparten {listed(lands)}."]
                if len(lands) > 1
                else [
                    f"La montaña se encuentra en {lands[0]}.",
                    f"Se encuentra en {lands[0]}; la capital del país es {states[0]['capital_es']}.",
                ]
            )
            if lands
            else [],
            [
                f"La primera ascensión tuvo lugar en {row['first_ascent']}.",
                f"Fue escalada por primera vez en {row['first_ascent']}.",
                f"Los primeros escaladores llegaron a la cumbre en {row['first_ascent']}.",
            ]
            if row["first_ascent"].isdigit()
            else [],
            [f"En el mapa se encuentra en {where}.", f"Es una de las montañas más conocidas de {where}."],
            [
                "La nieve y el hielo cubren la cumbre todo el año.",
                "Cerca de la cumbre, el aire es frío y escaso.",
                "Las laderas más altas están casi todo el año bajo la nieve.",
            ]
            if int(row["height_m"]) > 4500
            else [
                "Con buen tiempo, la vista desde la cumbre llega muy lejos.",
                "Varios senderos suben por sus laderas.",
                "Muchos visitantes acuden por la vista desde la cumbre.",
            ],
            [
                "Quien quiera llegar a la cumbre debe salir temprano y vigilar el tiempo.",
                "El tiempo en la montaña puede cambiar en pocas horas.",
                "Las tormentas y la niebla dificultan la subida.",
            ],
            [
                "En las laderas bajas crece el bosque, mientras que la cumbre es roca desnuda.",
                "Hacia la cumbre, las plantas son cada vez más pequeñas.",
                "Los arroyos de sus laderas alimentan los ríos de la región.",
            ],
        ],
        [],
        [where, *[c["es"] for c in states]],
        [("altura", row["height_m"]), ("cordillera", chain)],
        [f"Montañas de {where}"],
    )
