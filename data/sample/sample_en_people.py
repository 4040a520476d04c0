"""English articles about scientists and languages."""

from __future__ import annotations

from sample_core import Draft, Row, given, upper_first
from sample_english import FIELDS, JOBS, amount, an, date, land, listed, ordinal
from sample_reckoning import century
from sample_tables import World


def scientist(world: World, row: Row) -> Draft:
    """A scientist."""
    own, job, subject = row["en"], JOBS[row["field"]], FIELDS[row["field"]]
    he, his, him = ("She", "her", "her") if row["gender"] == "f" else ("He", "his", "him")
    state = world.countries(row)[0]
    name, born, died = land(state), date(row["born"]), date(row["died"]) if given(row["died"]) else ""
    place, known = row["birth_en"], row["known_en"]
    on = "on" if len(row["born"]) == 10 else "in"
    place_known = given(place)
    at = f" in {place}" if place_known else ""
    peers = [
        r["en"]
        for r in world.tables["scientists"].values()
        if r["field"] == row["field"] and r["key"] != row["key"] and r["born"][:2] == row["born"][:2]
    ][:3]
    death = (
        [
            f"{he} died {'on' if len(row['died']) == 10 else 'in'} {died}.",
            f"{upper_first(his)} death came {'on' if len(row['died']) == 10 else 'in'} {died}.",
            f"{own} died {'on' if len(row['died']) == 10 else 'in'} {died}.",
        ]
        if died
        else []
    )
    age: list[str] = []
    if len(row["born"]) == 10 and len(row["died"]) == 10:
        years = int(row["died"][:4]) - int(row["born"][:4]) - (row["died"][5:] < row["born"][5:])
        age = [
            f"{he} reached the age of {years}.",
            f"{he} lived to be {years} years old.",
            f"At the time of {his} death {'she' if he == 'She' else 'he'} was {years} years old.",
        ]
    when = ordinal(century(int(row["born"][:4])))
    life = f"{born} – {died}" if died else f"born {born}"
    verb = "was" if died else "is"
    return Draft(
        own,
        [
            f"{own} ({life}) {verb} {an(job)} born in what is now {name}.",
            f"{own} ({life}) {verb} {an(job)}.",
            f"{own} ({life}) {verb} {an(job)} who {'became' if died else 'is'} known for {known}.",
            f"{own} ({life}) {verb} a scientist in the field of {subject}.",
        ],
        [
            [
                f"{he} was born {on} {born}{at}.",
                f"{own} was born{at} {on} {born}.",
                f"{upper_first(his)} birthplace is {place}." if place_known else f"{he} was born {on} {born}.",
            ],
            death,
            age,
            [
                f"{he} is best known for {known}.",
                f"{upper_first(his)} name is linked above all with {known}.",
                f"{he} became famous for {known}.",
                f"Science remembers {him} above all for {known}.",
            ],
            [
                f"{upper_first(his)} field was {subject}." if died else f"{upper_first(his)} field is {subject}.",
                f"{he} worked mainly in the field of {subject}.",
                f"{upper_first(his)} most important work belongs to {subject}.",
            ],
            [
                f"The place of {his} birth belongs today to {name}.",
                f"Within the borders of today, {'she' if he == 'She' else 'he'} was born in {name}.",
            ],
            [f"{he} belongs to the scientists born in the {when} century.", f"{he} was born in the {when} century."],
            [f"Other people who worked in the same field were {listed(peers)}.", f"In the same field worked {listed(peers)}."]
            if len(peers) > 1
            else [],
            [
                f"Many books on the history of {subject} mention {him}.",
                f"Textbooks still mention {his} name.",
                f"Students of {subject} still come across {his} name.",
            ],
        ],
        [],
        [place, state["en"], subject, *peers],
        [("born", row["born"]), ("died", row["died"]), ("field", subject)],
        [f"{upper_first(job)}s"],
    )


def language(world: World, row: Row) -> Draft:
    """A language."""
    own, family, script = row["en"], row["family_en"], row["script_en"]
    states = world.countries(row)
    lands = [land(c) for c in states][:6]
    people = float(row["speakers_million"]) * 1e6
    many = amount(str(people))
    kin = [r["en"] for r in world.tables["languages"].values() if r["family_key"] == row["family_key"] and r["key"] != row["key"]][
        :4
    ]
    written = script.replace("the Chinese characters", "Chinese characters")
    group = family.removeprefix("the ")
    alone = not given(family) or "isolate" in row["family_key"]
    return Draft(
        own,
        [
            f"{own} is a language spoken by about {many} people.",
            f"{own} is a language spoken mainly in {listed(lands)}." if lands else f"{own} is a language.",
            f"{own} is a language isolate." if alone else f"{own} is a language that belongs to the {group}.",
            f"{own} is a language with about {many} speakers.",
        ],
        [
            [f"About {many} people speak it.", f"It has about {many} speakers.", f"The number of its speakers is about {many}."],
            [
                f"It is spoken mainly in {listed(lands)}.",
                f"Most of its speakers live in {listed(lands)}.",
                f"One hears {own} above all in {listed(lands)}.",
            ]
            if lands
            else [],
            ["It is not known to be related to any other language.", "No relatives of the language are known."]
            if alone
            else [
                f"It belongs to the {group}.",
                f"Linguists count {own} among the {group}.",
                f"Its relatives are found among the {group}.",
            ],
            [
                f"It is written in {written}.",
                f"{own} is written with {written}.",
                f"Its writing system is {script}."
                if "characters" not in script
                else "Its writing system consists of Chinese characters.",
            ]
            if given(script)
            else [],
            [f"Related languages include {listed(kin)}.", f"Among its relatives are {listed(kin)}."]
            if len(kin) > 1 and not alone
            else [],
            [
                "Children learn it at home as their first language.",
                "It is passed on from parents to children.",
                "Many people learn it as a second language.",
            ],
            [
                "There are books, songs and newspapers in the language.",
                "Radio and newspapers use the language.",
                "Stories and songs in it are passed on to this day.",
            ],
            [
                f"Like every language, {own} changes over time.",
                "Its words and sounds differ somewhat from region to region.",
                "Its dialects differ from one region to another.",
            ],
            [
                "Dictionaries and grammars describe the language.",
                "Linguists have described its grammar.",
                "Its grammar is described in many books.",
            ],
        ],
        [],
        [*[c["en"] for c in states], group, *kin],
        [("family", family), ("speakers_million", row["speakers_million"]), ("script", script)],
        ["Languages"],
    )
