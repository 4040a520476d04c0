"""German articles about chemical elements, planets and moons."""

from __future__ import annotations

from sample_core import Draft, Group, Row, given, upper_first
from sample_german import a, bare, declined, figure, listed, the
from sample_german_names import (
    CATEGORIES,
    SPHERES,
    STATES,
)
from sample_tables import World

PRONOUNS = {"m": ("Er", "Sein", "Seine"), "f": ("Sie", "Ihr", "Ihre"), "n": ("Es", "Sein", "Seine")}


def element(world: World, row: Row) -> Draft:
    """A chemical element."""
    own, sign, number = row["de"], row["symbol"], int(row["number"])
    kind, dative = CATEGORIES[row["category"]]
    found, who = row["year"], row["discoverer"]
    table = {int(r["number"]): r["de"] for r in world.tables["elements"].values()}
    near = [table[n] for n in (number - 1, number + 1) if n in table]
    history = (
        [
            f"Entdeckt wurde das Element im Jahr {found}.",
            f"Seit {found} ist das Element bekannt.",
            f"Das Jahr der Entdeckung ist {found}.",
        ]
        if given(found)
        else ["Das Element ist seit dem Altertum bekannt.", "Schon in der Antike kannten die Menschen den Stoff."]
    )
    if given(found) and given(who):
        history = [
            f"Entdeckt wurde das Element im Jahr {found} von {who}.",
            f"{who} entdeckte das Element im Jahr {found}.",
            f"Die Entdeckung im Jahr {found} geht auf {who} zurück.",
        ]
    period = f"Das Element steht in der {row['period']}. Periode des Periodensystems."
    return Draft(
        own,
        [
            f"{own} ist ein chemisches Element mit dem Symbol {sign} und der Ordnungszahl {number}.",
            f"{own} ist das chemische Element mit der Ordnungszahl {number}; sein Symbol ist {sign}.",
            f"{own} ist {a(kind)} mit dem Symbol {sign}.",
            f"{own} ist ein chemisches Element und gehört zu den {dative}.",
        ],
        [
            [
                f"Das Symbol des Elements ist {sign}.",
                f"In chemischen Formeln steht {sign} für {own}.",
                f"Das chemische Zeichen für {own} lautet {sign}.",
            ],
            [
                f"Die Ordnungszahl ist {number}.",
                f"Ein Atom des Elements hat {number} Protonen im Kern."
                if number > 1
                else "Ein Atom des Elements hat nur ein Proton im Kern.",
                f"Im Periodensystem trägt {own} die Nummer {number}.",
            ],
            [
                f"Das Element steht in der Gruppe {row['group']} und der Periode {row['period']} des Periodensystems.",
                f"Im Periodensystem gehört das Element zur Gruppe {row['group']}.",
                period,
            ]
            if given(row["group"])
            else [period, f"Im Periodensystem gehört das Element zur {row['period']}. Periode."],
            [
                f"Bei Raumtemperatur ist {own} {STATES[row['state']]}.",
                f"Unter normalen Bedingungen ist das Element {STATES[row['state']]}.",
                f"Das Element ist bei Raumtemperatur {STATES[row['state']]}.",
            ]
            if number < 104
            else [
                "Bisher wurden nur wenige Atome davon hergestellt.",
                "In der Natur kommt das Element nicht vor, und es zerfällt schnell.",
            ],
            [
                f"Die Atommasse beträgt etwa {figure(row['mass'])}.",
                f"Die Atommasse des Elements liegt bei etwa {figure(row['mass'])} Einheiten.",
            ],
            history,
            [
                f"{own} ist {a(kind)}.",
                f"In der Chemie zählt man {own} zu den {dative}.",
                f"Nach seinen Eigenschaften gehört das Element zu den {dative}.",
            ],
            [
                f"Die Nachbarn im Periodensystem sind {near[0]} und {near[1]}.",
                f"Im Periodensystem steht es zwischen {near[0]} und {near[1]}.",
            ]
            if len(near) == 2
            else [f"Der Nachbar im Periodensystem ist {near[0]}."],
        ],
        [],
        [bare(kind), "Periodensystem", "Ordnungszahl", *near],
        [("Symbol", sign), ("Ordnungszahl", str(number)), ("Atommasse", row["mass"]), ("Serie", bare(kind))],
        ["Chemisches Element"],
    )


def planet(world: World, row: Row) -> Draft:
    """A planet, a dwarf planet or a moon."""
    own, key, moon = row["de"], row["key"], row["type"] == "moon"
    name = (
        the(own, row["de_g"])
        if key in ("earth", "moon", "mars", "jupiter", "saturn", "neptune", "uranus", "venus", "mercury", "pluto")
        else own
    )
    top, kind, bodies = upper_first(name), SPHERES[row["type"]], world.tables["planets_and_moons"]
    he, his, her = PRONOUNS[row["de_g"]]
    wide, turn = figure(row["diameter_km"]), figure(row["orbit_days"])
    parent = bodies.get(row["parent"])
    home = the(parent["de"], parent["de_g"]) if parent else "die Sonne"
    kids = [r["de"] for r in bodies.values() if r["parent"] == key][:5]
    away = f"{figure(float(row['distance']) * 1000)} Kilometer" if moon else f"{figure(row['distance'])} Millionen Kilometer"
    groups: list[Group] = [
        [
            f"{his} Durchmesser beträgt etwa {wide} Kilometer.",
            f"{he} hat einen Durchmesser von etwa {wide} Kilometern.",
            f"Der Durchmesser beträgt etwa {wide} Kilometer.",
        ],
        [
            f"{he} umkreist {declined(home, 'acc')} im Mittel in einem Abstand von etwa {away}n.",
            f"Der mittlere Abstand beträgt etwa {away}.",
        ],
        [
            f"Ein Umlauf um {declined(home, 'acc')} dauert etwa {turn} Tage.",
            f"Für einen Umlauf braucht der Himmelskörper etwa {turn} Tage.",
            f"{her} Umlaufzeit beträgt etwa {turn} Tage.",
        ],
        [f"Zu den Monden gehören {listed(kids)}." if len(kids) > 1 else f"Der bekannteste Begleiter heißt {kids[0]}."]
        if kids
        else [],
        {
            "rocky": ["Die Oberfläche besteht aus Gestein.", "Wie die anderen inneren Planeten hat er eine feste Oberfläche."],
            "gas": [f"{he} besteht vor allem aus Wasserstoff und Helium.", "Eine feste Oberfläche gibt es dort nicht."],
            "ice": ["Die Atmosphäre enthält Wasserstoff, Helium und Methan.", "Dort ist es kalt und dunkel."],
            "dwarf": [f"{he} ist zu klein, um zu den Planeten zu zählen.", "Alle acht Planeten sind größer."],
            "moon": [
                f"{he} ist ein natürlicher Begleiter {declined(home, 'gen')}.",
                "Der Mond begleitet seinen Himmelskörper auf dem Weg um die Sonne.",
            ],
        }[row["type"]],
        [
            "Wie alle Himmelskörper des Sonnensystems wirft er das Licht der Sonne zurück."
            if row["de_g"] == "m"
            else "Das Licht der Sonne wird von der Oberfläche zurückgeworfen.",
            f"{he} leuchtet nicht selbst, sondern wirft das Licht der Sonne zurück.",
            f"{he} gehört zum Sonnensystem.",
        ],
        [
            "Beobachtet wird der Himmelskörper mit Teleskopen und Raumsonden.",
            "Raumsonden haben Bilder von dort zur Erde gesandt.",
            "Vieles, was man darüber weiß, stammt von Raumsonden.",
        ]
        if key != "earth"
        else ["Sie ist der einzige Planet, auf dem Leben bekannt ist.", "Der größte Teil der Oberfläche ist mit Wasser bedeckt."],
    ]
    acc = declined(home, "acc")
    return Draft(
        own,
        [
            f"{top} ist {a(kind)}, der {acc} umkreist.",
            f"{top} ist {a(kind)} mit einem Durchmesser von etwa {wide} Kilometern.",
            f"{top} ist {a(kind)} im Sonnensystem.",
            f"{top} ist ein Himmelskörper des Sonnensystems, der {acc} umkreist.",
        ],
        groups,
        [],
        [bare(home), bare(kind), *kids],
        [("Typ", bare(kind)), ("Durchmesser", row["diameter_km"])],
        ["Sonnensystem"],
    )
