"""German articles about rivers and mountains."""

from __future__ import annotations

from sample_core import Draft, Row, given, upper_first
from sample_german import bare, declined, figure, genitive, land, listed, the, to_range, within
from sample_german_names import CONTINENTS
from sample_tables import World


def river(world: World, row: Row) -> Draft:
    """A river."""
    name = the(row["de"], row["de_g"])
    own, top, where = bare(name), upper_first(name), CONTINENTS[row["continent"]]
    he, his = ("Sie", "Ihre") if row["de_g"] == "f" else ("Er", "Seine") if row["de_g"] == "m" else ("Es", "Seine")
    states = world.countries(row)
    lands = [land(c, "acc") for c in states]
    towns = [r["de"] for r in world.tables["cities"].values() if r["river"] == row["key"]][:4]
    long, mouth = figure(row["length_km"]), declined(row["mouth_de"], "acc")
    return Draft(
        own,
        [
            f"{top} ist ein Fluss in {where}.",
            f"{top} ist ein Fluss in {where}, der in {mouth} mündet.",
            f"{top} ist ein rund {long} Kilometer langer Fluss in {where}.",
            f"{top} ist ein Fluss, der durch {listed(lands[:4])} fließt." if lands else f"{top} ist ein Fluss.",
        ],
        [
            [
                f"{he} ist rund {long} Kilometer lang.",
                f"{his} Länge beträgt rund {long} Kilometer.",
                f"Von der Quelle bis zur Mündung sind es rund {long} Kilometer.",
            ],
            [
                f"{he} mündet in {mouth}.",
                f"Am Ende des Laufs erreicht der Fluss {mouth}.",
                f"Der Fluss mündet in {mouth}.",
                f"{top} mündet in {mouth}.",
            ],
            [f"Auf dem Weg zur Mündung fließt der Fluss durch {listed(lands)}.", f"Der Lauf führt durch {listed(lands)}."]
            if lands
            else [],
            [
                f"Am Ufer {'liegen' if len(towns) > 1 else 'liegt'} {listed(towns)}.",
                f"{'Städte' if len(towns) > 1 else 'Eine Stadt'} am Ufer {'sind' if len(towns) > 1 else 'ist'} {listed(towns)}.",
            ]
            if towns
            else [],
            [
                f"Der Fluss gehört zu den Flüssen {genitive(where)}.",
                f"Auf der Landkarte findet man ihn in {where}."
                if row["de_g"] == "m"
                else f"Auf der Landkarte findet man den Fluss in {where}.",
            ],
            [
                "Der Fluss versorgt die Menschen und Felder an seinen Ufern mit Wasser.",
                "Bauern nutzen das Wasser des Flusses für ihre Felder.",
                "Viele Menschen am Ufer leben von Fischfang und Landwirtschaft.",
            ],
            [
                "Auf Teilen des Flusses fahren Schiffe und Boote.",
                "Brücken und Fähren verbinden die beiden Ufer.",
                "An mehreren Stellen führen Brücken über den Fluss.",
            ],
            [
                "Nach starkem Regen steigt der Pegel schnell.",
                "Der Wasserstand ändert sich mit den Jahreszeiten.",
                "In trockenen Monaten führt der Fluss weniger Wasser.",
            ],
        ],
        [],
        [where, *[c["de"] for c in states], *towns],
        [("Länge", row["length_km"]), ("Mündung", row["mouth_de"])],
        [f"Fluss in {where}"],
    )


def mountain(world: World, row: Row) -> Draft:
    """A mountain."""
    name = the(row["de"], row["de_g"])
    own = bare(name) if row["de_g"] in ("m", "f", "n", "p") else row["de"]
    top = upper_first(name)
    where, high, states = CONTINENTS[row["continent"]], figure(row["height_m"]), world.countries(row)
    places = [within(c) for c in states]
    at = "in der Antarktis" if row["continent"] == "antarctica" else f"in {where}"
    chain, tall = row["range_de"], int(row["height_m"]) > 4500
    return Draft(
        own,
        [
            f"{top} ist ein Berg {at}.",
            f"{top} ist ein {high} Meter hoher Berg {at}.",
            f"{top} ist ein Berg {listed(places)}." if places else f"{top} ist ein Berg.",
            f"{top} ist ein Berg mit einer Höhe von {high} Metern.",
        ],
        [
            [
                f"Der Berg ist {high} Meter hoch.",
                f"Der Gipfel liegt {high} Meter über dem Meeresspiegel.",
                f"Die Höhe des Berges beträgt {high} Meter.",
            ],
            [
                f"Der Berg gehört {to_range(chain)}.",
                f"{top} gehört {to_range(chain)}.",
                f"Er ist ein Gipfel, der {to_range(chain)} gehört.",
            ]
            if given(chain)
            else [],
            (
                [
                    f"Über den Berg verläuft eine Grenze zwischen Staaten: Er liegt {listed(places)}.",
                    f"Der Berg liegt {listed(places)}.",
                ]
                if len(places) > 1
                else [
                    f"Der Berg liegt {places[0]}.",
                    f"Er liegt {places[0]}; die Hauptstadt des Landes ist {states[0]['capital_de']}.",
                ]
            )
            if places
            else [],
            [
                f"Die Erstbesteigung gelang im Jahr {row['first_ascent']}.",
                f"Zum ersten Mal bestiegen wurde der Berg im Jahr {row['first_ascent']}.",
                f"Im Jahr {row['first_ascent']} erreichten Menschen erstmals den Gipfel.",
            ]
            if row["first_ascent"].isdigit()
            else [],
            [f"Auf der Landkarte findet man den Berg {at}.", f"Der Berg ist einer der bekanntesten {at}."],
            [
                "Schnee und Eis bedecken den Gipfel das ganze Jahr über.",
                "In der Nähe des Gipfels ist die Luft dünn und kalt.",
                "Die oberen Hänge liegen fast das ganze Jahr unter Schnee.",
            ]
            if tall
            else [
                "Bei gutem Wetter reicht die Aussicht vom Gipfel weit ins Land.",
                "Wege führen Wanderer auf den Berg.",
                "Viele Besucher kommen wegen der Aussicht vom Gipfel.",
            ],
            [
                "Wer den Gipfel erreichen will, sollte früh aufbrechen und auf das Wetter achten.",
                "Das Wetter am Berg kann sich innerhalb weniger Stunden ändern.",
                "Sturm und Nebel erschweren den Aufstieg.",
            ],
            [
                "An den unteren Hängen wächst Wald, während der Gipfel aus nacktem Fels besteht.",
                "Zum Gipfel hin werden die Pflanzen kleiner.",
                "Bäche von seinen Hängen speisen die Flüsse der Umgebung.",
            ],
        ],
        [],
        [where, *[c["de"] for c in states]],
        [("Höhe", row["height_m"])],
        [f"Berg {at}"],
    )
