"""English articles about countries, capitals and cities."""

from __future__ import annotations

from sample_core import Draft, Group, Row, upper_first
from sample_english import CONTINENTS, amount, figure, land, listed
from sample_tables import World


def country(world: World, row: Row) -> Draft:
    """A country."""
    own, name, where, cap = row["en"], land(row), CONTINENTS[row["continent"]], row["capital_en"]
    top, tongues = upper_first(name), world.tongues(row, "en")
    area, people = figure(row["area_km2"]), amount(row["population"])
    speech: Group = []
    if tongues:
        noun, verb = ("languages", "are") if len(tongues) > 1 else ("language", "is")
        speech = [
            f"The official {noun} of the country {verb} {listed(tongues)}.",
            f"{listed(tongues)} {verb} the official {noun} of {name}.",
            f"{listed(tongues)} {'serve as official languages' if len(tongues) > 1 else 'is the official language'} here.",
            f"In law and in schools the country uses {listed(tongues)}.",
        ]
    more: list[Group] = []
    cities = [r["en"] for r in world.in_country["cities", row["key"]]][:4]
    rivers = [r["en"] for r in world.in_country["rivers", row["key"]]][:3]
    peaks = [r["en"] for r in world.in_country["mountains", row["key"]]][:3]
    minds = [r["en"] for r in world.in_country["scientists", row["key"]]][:3]
    if cities:
        more.append(
            [
                f"Apart from the capital, larger cities include {listed(cities)}.",
                f"Other well-known cities are {listed(cities)}." if len(cities) > 1 else f"Another well-known city is {cities[0]}.",
            ]
        )
    if rivers:
        more.append(
            [
                f"Its rivers include the {listed(rivers)}.",
                f"Among its rivers {'are' if len(rivers) > 1 else 'is'} the {listed(rivers)}.",
            ]
        )
    if peaks:
        more.append([f"Its mountains include {listed(peaks)}.", f"Climbers come to the country for {listed(peaks)}."])
    if minds:
        more.append(
            [
                f"Scientists born in what is now {name} include {listed(minds)}.",
                f"The country is the birthplace of scientists such as {listed(minds)}.",
            ]
        )
    return Draft(
        own,
        [
            f"{top} is a country in {where}.",
            f"{top} is a country in {where} with {people} inhabitants.",
            f"{top} is a sovereign state in {where} whose capital is {cap}.",
            f"{top} is a state on the continent of {where}."
            if row["continent"] != "oceania"
            else f"{top} is a state in Oceania, in the Pacific region.",
        ],
        [
            [
                f"Its capital is {cap}.",
                f"The capital of {name} is {cap}.",
                f"The government sits in the capital, {cap}.",
                f"{cap} is the capital of the country.",
            ],
            [
                f"It covers an area of about {area} square kilometres.",
                f"Its area is roughly {area} square kilometres.",
                f"The country is about {area} square kilometres in size.",
            ],
            [
                f"About {people} people live there.",
                f"It has a population of about {people}.",
                f"The population is estimated at {people} people.",
            ],
            speech,
            [
                f"The currency is the {row['cur_en']}.",
                f"People pay with the {row['cur_en']}.",
                f"Its currency is called the {row['cur_en']}.",
                f"Goods are paid for in the national currency, the {row['cur_en']}.",
            ],
            [
                f"The country code of {name} is {row['iso']}.",
                f"In international lists the country has the code {row['iso']}.",
                f"Its two-letter code is {row['iso']}.",
            ],
        ],
        [("Geography and people", more)] if more else [],
        [cap, where, *tongues, *cities, *rivers, *minds, row["cur_en"]],
        [
            ("capital", cap),
            ("continent", where),
            ("area_km2", row["area_km2"]),
            ("population", row["population"]),
            ("currency", row["cur_en"]),
            ("code", row["iso"]),
        ],
        [f"Countries in {where}"],
    )


def capital(world: World, row: Row) -> Draft:
    """The capital of a country."""
    cap, name, where = row["capital_en"], land(row), CONTINENTS[row["continent"]]
    tongues = world.tongues(row, "en")
    speech: Group = []
    if tongues:
        speech = [
            f"In the streets and offices of {cap} one hears {listed(tongues)} above all.",
            f"Signs and documents in the city are written in {listed(tongues)}.",
            f"The official {'languages' if len(tongues) > 1 else 'language'} here, as in the whole country, "
            f"{'are' if len(tongues) > 1 else 'is'} {listed(tongues)}.",
        ]
    return Draft(
        cap,
        [
            f"{cap} is the capital of {name}.",
            f"{cap} is the capital city of {name}, a country in {where}.",
            f"{cap} is a city in {where} and the capital of {name}.",
            f"{cap} is the seat of government of {name} and its capital.",
        ],
        [
            [f"The city lies in {where}.", f"It is one of the capitals of {where}.", f"On the map it is found in {where}."],
            speech,
            [
                f"The currency used in the city is the {row['cur_en']}.",
                f"As everywhere in the country, one pays with the {row['cur_en']}.",
                f"In its shops and markets prices are given in the national currency, the {row['cur_en']}.",
            ],
            [
                f"It is the capital of a state with about {amount(row['population'])} inhabitants.",
                f"The country it governs has about {amount(row['population'])} inhabitants.",
                f"From here a country of about {amount(row['population'])} people is governed.",
            ],
            [
                f"The country has an area of about {figure(row['area_km2'])} square kilometres.",
                f"{upper_first(name)} covers about {figure(row['area_km2'])} square kilometres.",
            ],
            [
                "The government and the most important ministries have their seat here.",
                "As the capital, it is the home of the government and of many embassies.",
                "The government of the country meets here, and many states keep an embassy in the city.",
            ],
            [
                f"Addresses in the city end with the name of the country or with its code, {row['iso']}.",
                f"International mail to {cap} carries the country code {row['iso']}.",
            ],
        ],
        [],
        [row["en"], where, *tongues],
        [("country", row["en"]), ("continent", where), ("status", "capital")],
        [f"Capitals in {where}"],
    )


def city(world: World, row: Row) -> Draft:
    """A city that is not a capital."""
    own, state = row["en"], world.countries(row)[0]
    name, where, people = land(state), CONTINENTS[state["continent"]], amount(row["population"])
    river = world.tables["rivers"].get(row["river"])
    tongues = world.tongues(state, "en")
    stream = (
        [
            f"The city lies on the {river['en']}.",
            f"It stands on the banks of the {river['en']}.",
            f"The {river['en']} flows through the city.",
        ]
        if river
        else []
    )
    sea = [
        ["It has a harbour on the coast.", "The city lies by the sea.", "It is a city on the coast."],
        ["The city lies inland, away from the coast.", "It has no access to the sea.", "It does not lie by the sea."],
    ][row["coast"] != "yes"]
    old = (
        [
            f"It was founded in {row['founded']}.",
            f"The founding of the city is dated to {row['founded']}.",
            f"Its history goes back to the year {row['founded']}.",
        ]
        if row["founded"].isdigit()
        else []
    )
    peers = [r["en"] for r in world.in_country["cities", state["key"]] if r["key"] != row["key"]][:3]
    return Draft(
        own,
        [
            f"{own} is a city in {name}.",
            f"{own} is a city in {name} with about {people} inhabitants.",
            f"{own} is one of the larger cities of {name}.",
            f"{own} is a city in {where} that belongs to {name}.",
        ],
        [
            [
                f"About {people} people live there.",
                f"The city has a population of about {people}.",
                f"Its population is about {people}.",
            ],
            stream,
            sea,
            old,
            [
                f"The capital of the country is not {own} but {state['capital_en']}.",
                f"The country is governed from its capital, {state['capital_en']}.",
                f"The national capital is {state['capital_en']}.",
            ],
            [
                f"The official {'languages are' if len(tongues) > 1 else 'language is'} {listed(tongues)}.",
                f"{listed(tongues)} {'are' if len(tongues) > 1 else 'is'} spoken in the city.",
            ]
            if tongues
            else [],
            [f"The currency is the {state['cur_en']}.", f"People there pay with the {state['cur_en']}."],
            [f"Other cities in {name} are {listed(peers)}.", f"It is often compared with {listed(peers)}."]
            if len(peers) > 1
            else [],
            [f"On the map it is found in {where}.", f"Like the whole country, it belongs to {where}."],
        ],
        [],
        [state["en"], state["capital_en"], river["en"] if river else where, *peers],
        [("country", state["en"]), ("population", row["population"])],
        [f"Cities in {name}"],
    )
