"""English articles about chemical elements, planets and moons."""

from __future__ import annotations

from sample_core import Draft, Group, Row, given, upper_first
from sample_english import (
    CATEGORIES,
    SPHERES,
    STATES,
    an,
    figure,
    ordinal,
)
from sample_tables import World


def element(world: World, row: Row) -> Draft:
    """A chemical element."""
    own, sign, number, kind = row["en"], row["symbol"], int(row["number"]), CATEGORIES[row["category"]]
    top, state = upper_first(own), STATES[row["state"]]
    found, who = row["year"], row["discoverer"]
    table = {int(r["number"]): r["en"] for r in world.tables["elements"].values()}
    near = [table[n] for n in (number - 1, number + 1) if n in table]
    history = (
        [f"It was discovered in {found}.", f"The element has been known since {found}.", f"The year of its discovery is {found}."]
        if given(found)
        else ["It has been known since ancient times.", "People already knew it in antiquity."]
    )
    if given(found) and given(who):
        history = [
            f"It was discovered in {found} by {who}.",
            f"{who} discovered the element in {found}.",
            f"Its discovery in {found} goes back to {who}.",
        ]
    return Draft(
        top,
        [
            f"{top} is a chemical element with the symbol {sign} and the atomic number {number}.",
            f"{top} is the chemical element with the atomic number {number}; its symbol is {sign}.",
            f"{top} is {an(kind)} with the symbol {sign}.",
            f"{top} is a chemical element that belongs to the {kind}s."
            if kind != "noble gas"
            else f"{top} is a chemical element that belongs to the noble gases.",
        ],
        [
            [f"Its symbol is {sign}.", f"In chemical formulas {own} is written {sign}.", f"Chemists write {sign} for {own}."],
            [
                f"Its atomic number is {number}.",
                f"An atom of {own} has {number} proton{'s' * (number > 1)} in its nucleus.",
                f"In the periodic table it has the number {number}.",
            ],
            [
                f"The element stands in group {row['group']} and period {row['period']} of the periodic table.",
                f"It belongs to group {row['group']} of the periodic table.",
                f"It is found in the {ordinal(int(row['period']))} period of the periodic table.",
            ]
            if given(row["group"])
            else [
                f"It stands in the {ordinal(int(row['period']))} period of the periodic table.",
                f"It belongs to the {ordinal(int(row['period']))} period of the periodic table.",
            ],
            [
                f"At room temperature it is {state}.",
                f"At room temperature {own} is {state}.",
                f"Under normal conditions the element is {state}.",
            ]
            if number < 104
            else ["Only a few atoms of it have ever been made.", "It does not occur in nature and decays quickly."],
            [f"Its atomic mass is about {figure(row['mass'])}.", f"The atomic mass is about {figure(row['mass'])} units."],
            history,
            [
                f"It is {an(kind)}.",
                f"Chemists count it among the {kind.replace('noble gas', 'noble gase')}s.",
                f"By its properties it is {an(kind)}.",
            ],
            [
                f"Its neighbours in the periodic table are {near[0]} and {near[1]}.",
                f"It stands between {near[0]} and {near[1]} in the periodic table.",
            ]
            if len(near) == 2
            else [f"Its neighbour in the periodic table is {near[0]}."],
        ],
        [],
        [kind, "periodic table", "atomic number", *near],
        [("symbol", sign), ("number", str(number)), ("mass", row["mass"]), ("category", kind)],
        ["Chemical elements"],
    )


def planet(world: World, row: Row) -> Draft:
    """A planet, a dwarf planet or a moon."""
    name = row["en"]
    top, kind, moon = upper_first(name), SPHERES[row["type"]], row["type"] == "moon"
    bodies = world.tables["planets_and_moons"]
    wide, turn = figure(row["diameter_km"]), figure(row["orbit_days"])
    home = bodies[row["parent"]]["en"] if moon else "the Sun"
    kids = [r["en"] for r in bodies.values() if r["parent"] == row["key"]]
    away = f"{figure(float(row['distance']) * 1000)} kilometres" if moon else f"{figure(row['distance'])} million kilometres"
    days = f"{turn} day{'s' * (turn != '1')}"
    groups: list[Group] = [
        [
            f"Its diameter is about {wide} kilometres.",
            f"It has a diameter of about {wide} kilometres.",
            f"{top} measures about {wide} kilometres across.",
        ],
        [
            f"It orbits {home} at an average distance of about {away}.",
            f"Its average distance from {home} is about {away}.",
            f"On average it is about {away} away from {home}.",
        ],
        [
            f"One orbit around {home} takes about {days}.",
            f"It needs about {days} for one orbit around {home}.",
            f"{top} travels around {home} once in about {days}.",
        ],
        [f"Its moons include {listed_en(kids)}." if len(kids) > 1 else f"Its best-known moon is {kids[0]}."] if kids else [],
        {
            "rocky": ["Its surface consists of rock.", "Like the other inner planets, it has a solid surface of rock."],
            "gas": ["It consists mainly of hydrogen and helium.", "It has no solid surface."],
            "ice": ["Its atmosphere contains hydrogen, helium and methane.", "It is cold and lies far from the Sun."],
            "dwarf": ["It is too small to be counted among the planets.", "It is smaller than the eight planets."],
            "moon": [f"It is a natural satellite of {home}.", f"{upper_first(home)} is accompanied by this moon."],
        }[row["type"]],
        [
            "Like all bodies of the Solar System, it reflects the light of the Sun.",
            "It does not shine by itself but reflects the light of the Sun.",
            "It belongs to the Solar System.",
        ],
        [
            "Astronomers observe it with telescopes and space probes.",
            "Space probes have sent pictures of it to Earth.",
            "Much of what is known about it comes from space probes.",
        ]
        if row["key"] not in ("earth",)
        else ["It is the only planet known to have life.", "Most of its surface is covered by water."],
    ]
    return Draft(
        name.removeprefix("the "),
        [
            f"{top} is {an(kind)} that orbits {home}.",
            f"{top} is {an(kind)} with a diameter of about {wide} kilometres.",
            f"{top} is {an(kind)} in the Solar System.",
            f"{top} is a celestial body of the Solar System that orbits {home}.",
        ],
        groups,
        [],
        [home.removeprefix("the "), kind, *kids],
        [("type", kind), ("diameter_km", row["diameter_km"])],
        ["Solar System"],
    )


def listed_en(items: list[str]) -> str:
    """The first five items with commas and `and`."""
    few = items[:5]
    return f"{', '.join(few[:-1])} and {few[-1]}"
