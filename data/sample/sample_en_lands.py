"""English articles about rivers and mountains."""

from __future__ import annotations

from sample_core import Draft, Row, given, upper_first
from sample_english import CONTINENTS, figure, land, listed
from sample_tables import World


def river(world: World, row: Row) -> Draft:
    """A river."""
    own, where = row["en"], CONTINENTS[row["continent"]]
    lands = [land(c) for c in world.countries(row)]
    towns = [r["en"] for r in world.tables["cities"].values() if r["river"] == row["key"]][:4]
    long, mouth = figure(row["length_km"]), row["mouth_en"]
    return Draft(
        own,
        [
            f"The {own} is a river in {where}.",
            f"The {own} is a river in {where} that flows into {mouth}.",
            f"The {own} is a river about {long} kilometres long in {where}.",
            f"The {own} is a river that flows through {listed(lands[:4])}." if lands else f"The {own} is a river.",
        ],
        [
            [
                f"It is about {long} kilometres long.",
                f"Its length is about {long} kilometres.",
                f"From source to mouth it measures about {long} kilometres.",
            ],
            [
                f"It flows into {mouth}.",
                f"At the end of its course it reaches {mouth}.",
                f"The {own} empties into {mouth}.",
                f"Its waters end in {mouth}.",
            ],
            [f"On its way it flows through {listed(lands)}.", f"Its course runs through {listed(lands)}."] if lands else [],
            [
                f"{'Cities' if len(towns) > 1 else 'A city'} on its banks {'are' if len(towns) > 1 else 'is'} {listed(towns)}.",
                f"{listed(towns)} {'lie' if len(towns) > 1 else 'lies'} on the {own}.",
            ]
            if towns
            else [],
            [f"The {own} is one of the rivers of {where}.", f"On the map it is found in {where}."],
            [
                "It supplies people and fields along its banks with water.",
                "Farmers along the river use its water for their fields.",
                "Many people along its banks live from fishing and farming.",
            ],
            [
                "Ships and boats travel on parts of the river.",
                "Bridges and ferries connect its two banks.",
                "In several places bridges cross the river.",
            ],
            [
                "After heavy rain its level can rise quickly.",
                "Its water level changes with the seasons.",
                "In dry months it carries less water than in wet ones.",
            ],
        ],
        [],
        [where, *[c["en"] for c in world.countries(row)], *towns],
        [("length_km", row["length_km"]), ("mouth", mouth)],
        [f"Rivers of {where}"],
    )


def mountain(world: World, row: Row) -> Draft:
    """A mountain."""
    own, where, high = row["en"], CONTINENTS[row["continent"]], figure(row["height_m"])
    states = world.countries(row)
    lands = [land(c) for c in states]
    chain = row["range_en"]
    border = len(lands) > 1
    return Draft(
        own,
        [
            f"{own} is a mountain in {where}.",
            f"{own} is a mountain in {where} with a height of {high} metres.",
            (f"{own} is a mountain on the border of {listed(lands)}." if border else f"{own} is a mountain in {lands[0]}.")
            if lands
            else f"{own} is a mountain.",
            f"{own} is a peak {high} metres high."
            if int(row["height_m"]) < 8000
            else f"{own} is one of the highest mountains on Earth.",
        ],
        [
            [
                f"It is {high} metres high.",
                f"Its summit rises to {high} metres above sea level.",
                f"The summit lies at a height of {high} metres.",
            ],
            [f"It belongs to {chain}.", f"The mountain is part of {chain}.", f"{own} rises in {chain}."] if given(chain) else [],
            (
                [f"The border between {listed(lands)} runs across the mountain.", f"{upper_first(listed(lands))} share it."]
                if border
                else [f"The mountain stands in {lands[0]}.", f"It lies in {lands[0]}, whose capital is {states[0]['capital_en']}."]
            )
            if lands
            else [],
            [
                f"It was first climbed in {row['first_ascent']}.",
                f"The first ascent took place in {row['first_ascent']}.",
                f"Climbers first reached the summit in {row['first_ascent']}.",
            ]
            if row["first_ascent"].isdigit()
            else [],
            [f"On the map it is found in {where}.", f"It is one of the best-known mountains of {where}."],
            [
                "Snow and ice cover the summit all year round.",
                "Near the top the air is thin and cold.",
                "The upper slopes lie under snow for most of the year.",
            ]
            if int(row["height_m"]) > 4500
            else [
                "In good weather the view from the top reaches far into the country.",
                "Paths lead hikers up its slopes.",
                "Many visitors come for the view from the summit.",
            ],
            [
                "Whoever wants to reach the top should start early and watch the weather.",
                "The weather on the mountain can change within a few hours.",
                "Storms and fog make the ascent difficult.",
            ],
            [
                "Forest grows on the lower slopes, while the top is bare rock.",
                "Plants become smaller towards the summit.",
                "Streams from its slopes feed the rivers of the region.",
            ],
        ],
        [],
        [where, *[c["en"] for c in states]],
        [("height_m", row["height_m"]), ("range", chain)],
        [f"Mountains of {where}"],
    )
