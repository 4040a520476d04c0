"""German articles about countries, capitals and cities."""

from __future__ import annotations

from sample_core import Draft, Group, Row, given, upper_first
from sample_german import amount, bare, declined, figure, genitive, land, listed, the, within
from sample_german_names import CONTINENTS
from sample_tables import World


def country(world: World, row: Row) -> Draft:
    """A country."""
    own, where, cap = row["de"], CONTINENTS[row["continent"]], row["capital_de"]
    many, top, tongues = row["de_g"] == "p", upper_first(land(row)), world.tongues(row, "de")
    are, have, lie = ("sind", "haben", "liegen") if many else ("ist", "hat", "liegt")
    area, people, money = figure(row["area_km2"]), amount(row["population"]), row["cur_de"]
    bold = bare(land(row)) if given(row["de_g"]) else own
    speech: Group = []
    if tongues:
        noun, verb = ("Amtssprachen", "sind") if len(tongues) > 1 else ("Amtssprache", "ist")
        speech = [
            f"{noun} {verb} {listed(tongues)}.",
            f"Als {noun} {'dienen' if len(tongues) > 1 else 'dient'} {listed(tongues)}.",
            f"{listed(tongues)} {verb} {noun} {land(row, 'gen')}.",
            f"Die {noun} des Landes {verb} {listed(tongues)}.",
        ]
    more: list[Group] = []
    cities = [r["de"] for r in world.in_country["cities", row["key"]]][:4]
    rivers = [the(r["de"], r["de_g"]) for r in world.in_country["rivers", row["key"]]][:3]
    peaks = [r["de"] for r in world.in_country["mountains", row["key"]]][:3]
    minds = [r["de"] for r in world.in_country["scientists", row["key"]]][:3]
    if cities:
        more.append(
            [
                f"Neben der Hauptstadt gehört auch {cities[0]} zu den größeren Städten."
                if len(cities) == 1
                else f"Neben der Hauptstadt gehören {listed(cities)} zu den größeren Städten.",
                f"Weitere bekannte Städte sind {listed(cities)}."
                if len(cities) > 1
                else f"Eine weitere bekannte Stadt ist {cities[0]}.",
            ]
        )
    if rivers:
        more.append(
            [
                f"Zu den Flüssen des Landes {'gehören' if len(rivers) > 1 else 'gehört'} {listed(rivers)}.",
                f"Durch das Land {'fließen' if len(rivers) > 1 else 'fließt'} {listed(rivers)}.",
            ]
        )
    if peaks:
        more.append(
            [
                f"Bekannte Berge {within(row)} sind {listed(peaks)}."
                if len(peaks) > 1
                else f"Ein bekannter Berg {within(row)} heißt {peaks[0]}."
            ]
        )
    if minds:
        more.append(
            [
                f"Auf dem heutigen Staatsgebiet {'wurden' if len(minds) > 1 else 'wurde'} {listed(minds)} geboren.",
                f"Zu den Forschern, die auf dem heutigen Staatsgebiet geboren wurden, "
                f"{'zählen' if len(minds) > 1 else 'zählt'} {listed(minds)}.",
            ]
        )
    return Draft(
        bold,
        [
            f"{top} {are} ein Staat in {where}.",
            f"{top} {are} ein Land in {where} mit rund {people} Einwohnern.",
            f"{top} {are} ein Staat in {where}, dessen Hauptstadt {cap} ist.",
            f"{top} {are} ein Land, das in {where} liegt.",
        ],
        [
            [
                f"Die Hauptstadt ist {cap}.",
                f"Die Hauptstadt {land(row, 'gen')} heißt {cap}.",
                f"Die Regierung hat ihren Sitz in der Hauptstadt {cap}.",
                f"{cap} ist die Hauptstadt des Landes.",
            ],
            [
                f"Das Land hat eine Fläche von rund {area} Quadratkilometern.",
                f"Die Fläche des Landes beträgt rund {area} Quadratkilometer.",
                f"Das Land ist etwa {area} Quadratkilometer groß.",
            ],
            [
                f"Im Land leben rund {people} Menschen.",
                f"Die Einwohnerzahl beträgt rund {people}.",
                f"{top} {have} rund {people} Einwohner.",
            ],
            speech,
            [
                f"Die Währung ist {money}.",
                f"Bezahlt wird mit {declined(money, 'dat')}.",
                f"Als Währung dient {money}.",
                f"Die Landeswährung ist {money}.",
            ],
            [
                f"Der Ländercode ist {row['iso']}.",
                f"In internationalen Listen trägt das Land den Code {row['iso']}.",
                f"Das Länderkürzel {land(row, 'gen')} lautet {row['iso']}.",
            ],
            [
                f"{top} {lie} in {where}.",
                f"Auf der Landkarte findet man {land(row, 'acc')} in {where}.",
                f"Das Land gehört zu {where}.",
            ],
        ],
        [("Geographie und Bevölkerung", more)] if more else [],
        [cap, where, *tongues, *cities, *minds],
        [
            ("Hauptstadt", cap),
            ("Kontinent", where),
            ("Fläche", row["area_km2"]),
            ("Einwohner", row["population"]),
            ("Währung", bare(money)),
            ("Code", row["iso"]),
        ],
        [f"Staat in {where}"],
    )


def capital(world: World, row: Row) -> Draft:
    """The capital of a country."""
    cap, where = row["capital_de"], CONTINENTS[row["continent"]]
    tongues, people = world.tongues(row, "de"), amount(row["population"])
    speech: Group = []
    if tongues:
        noun, verb = ("Amtssprachen", "sind") if len(tongues) > 1 else ("Amtssprache", "ist")
        speech = [
            f"{noun} der Stadt {verb} {listed(tongues)}.",
            f"Auf den Ämtern der Stadt spricht man {listed(tongues)}.",
            f"{noun} {verb} hier wie im ganzen Land {listed(tongues)}.",
        ]
    return Draft(
        cap,
        [
            f"{cap} ist die Hauptstadt {land(row, 'gen')}.",
            f"{cap} ist eine Stadt in {where} und die Hauptstadt {land(row, 'gen')}.",
            f"{cap} ist eine Stadt {within(row)} und zugleich die Hauptstadt des Landes.",
            f"{cap} ist Hauptstadt und Regierungssitz {land(row, 'gen')}.",
        ],
        [
            [
                f"Die Stadt liegt in {where}.",
                f"Sie ist eine der Hauptstädte {genitive(where)}.",
                f"Auf der Landkarte findet man sie in {where}.",
            ],
            speech,
            [
                f"Bezahlt wird in der Stadt mit {declined(row['cur_de'], 'dat')}.",
                f"Die Währung ist {row['cur_de']}.",
                f"Auch hier ist {row['cur_de']} die Währung.",
            ],
            [
                f"Das Land, das von hier aus regiert wird, hat rund {people} Einwohner.",
                f"Sie ist die Hauptstadt eines Staates mit rund {people} Einwohnern.",
                f"Im ganzen Land leben rund {people} Menschen.",
            ],
            [
                f"Das Land ist rund {figure(row['area_km2'])} Quadratkilometer groß.",
                f"Die Fläche des Landes beträgt rund {figure(row['area_km2'])} Quadratkilometer.",
            ],
            [
                "Die Regierung und die wichtigsten Ministerien haben hier ihren Sitz.",
                "Als Hauptstadt beherbergt sie die Regierung und viele Botschaften.",
                "In der Stadt tagt die Regierung des Landes.",
            ],
            [
                f"Post nach {cap} trägt den Ländercode {row['iso']}.",
                f"Der Code des Landes, in dem die Stadt liegt, ist {row['iso']}.",
            ],
            [
                "Viele Straßen und Bahnlinien des Landes laufen hier zusammen.",
                "Museen und Theater ziehen Besucher aus dem ganzen Land an.",
                "Wer das Land besucht, kommt meist zuerst in die Hauptstadt.",
            ],
        ],
        [],
        [row["de"], where, *tongues],
        [("Staat", row["de"]), ("Kontinent", where), ("Status", "Hauptstadt")],
        [f"Hauptstadt in {where}"],
    )


def city(world: World, row: Row) -> Draft:
    """A city that is not a capital."""
    own, state = row["de"], world.countries(row)[0]
    where, people = CONTINENTS[state["continent"]], amount(row["population"])
    river_row = world.tables["rivers"].get(row["river"])
    flow = the(river_row["de"], river_row["de_g"]) if river_row else ""
    at = f"{'an der' if flow.startswith('die') else 'am'} {bare(flow)}"
    tongues = world.tongues(state, "de")
    stream = [f"Die Stadt liegt {at}.", f"Durch die Stadt fließt {flow}.", f"Sie liegt {at}."] if flow else []
    sea = (
        ["Sie liegt am Meer und hat einen Hafen.", "Die Stadt liegt an der Küste.", f"{own} liegt am Meer."]
        if row["coast"] == "yes"
        else ["Die Stadt liegt im Landesinneren.", "Sie liegt nicht am Meer.", "Einen Zugang zum Meer hat die Stadt nicht."]
    )
    old = (
        [
            f"Gegründet wurde die Stadt im Jahr {row['founded']}.",
            f"Die Gründung der Stadt wird auf das Jahr {row['founded']} datiert.",
            f"Ihre Geschichte reicht bis ins Jahr {row['founded']} zurück.",
        ]
        if row["founded"].isdigit()
        else []
    )
    peers = [r["de"] for r in world.in_country["cities", state["key"]] if r["key"] != row["key"]][:3]
    return Draft(
        own,
        [
            f"{own} ist eine Stadt {within(state)}.",
            f"{own} ist eine Stadt {within(state)} mit rund {people} Einwohnern.",
            f"{own} ist eine der größeren Städte {land(state, 'gen')}.",
            f"{own} ist eine Stadt in {where}, die zu {land(state, 'dat')} gehört.",
        ],
        [
            [
                f"In der Stadt leben rund {people} Menschen.",
                f"Die Stadt hat rund {people} Einwohner.",
                f"Die Einwohnerzahl beträgt rund {people}.",
            ],
            stream,
            sea,
            old,
            [
                f"Die Hauptstadt des Landes ist nicht {own}, sondern {state['capital_de']}.",
                f"Regiert wird das Land von der Hauptstadt {state['capital_de']} aus.",
                f"Die Hauptstadt {land(state, 'gen')} ist {state['capital_de']}.",
            ],
            [
                f"{'Amtssprachen sind' if len(tongues) > 1 else 'Amtssprache ist'} {listed(tongues)}.",
                f"In der Stadt spricht man {listed(tongues)}.",
            ]
            if tongues
            else [],
            [f"Die Währung ist {state['cur_de']}.", f"Bezahlt wird mit {declined(state['cur_de'], 'dat')}."],
            [f"Weitere Städte {within(state)} sind {listed(peers)}.", f"Man vergleicht die Stadt gern mit {listed(peers)}."]
            if len(peers) > 1
            else [],
            [f"Wie das ganze Land gehört die Stadt zu {where}.", f"Auf der Landkarte findet man sie in {where}."],
        ],
        [],
        [state["de"], state["capital_de"], bare(flow) if flow else where, *peers],
        [("Staat", state["de"]), ("Einwohner", row["population"])],
        [f"Ort {within(state)}"],
    )
