"""German articles about scientists and languages."""

from __future__ import annotations

from sample_core import Draft, Row, given
from sample_german import amount, bare, declined, land, listed, within
from sample_german_names import FIELDS, JOBS, date, on
from sample_reckoning import century
from sample_tables import World


def scientist(world: World, row: Row) -> Draft:
    """A scientist."""
    woman = row["gender"] == "f"
    own, job, subject = row["de"], JOBS[row["field"]][woman], FIELDS[row["field"]]
    he, his, one = ("Sie", "Ihr", "eine") if woman else ("Er", "Sein", "ein")
    state = world.countries(row)[0]
    born, died = on(row["born"]), on(row["died"]) if given(row["died"]) else ""
    place, known = row["birth_de"], declined(row["known_de"], "acc")
    at = f" in {place}" if given(place) else ""
    peers = [
        r["de"]
        for r in world.tables["scientists"].values()
        if r["field"] == row["field"] and r["key"] != row["key"] and r["born"][:2] == row["born"][:2]
    ][:3]
    death = [f"{he} starb {died}.", f"{own} starb {died}.", f"Gestorben ist {he.lower()} {died}."] if died else []
    age: list[str] = []
    if len(row["born"]) == 10 and len(row["died"]) == 10:
        years = int(row["died"][:4]) - int(row["born"][:4]) - (row["died"][5:] < row["born"][5:])
        age = [
            f"{he} wurde {years} Jahre alt.",
            f"{he} starb im Alter von {years} Jahren.",
            f"Beim Tod war {he.lower()} {years} Jahre alt.",
        ]
    life = f"* {date(row['born'])}" + (f"; † {date(row['died'])}" if died else "")
    was = "war" if died else "ist"
    researcher = "eine Wissenschaftlerin" if woman else "ein Wissenschaftler"
    return Draft(
        own,
        [
            f"{own} ({life}) {was} {one} {job}, {'deren' if woman else 'dessen'} Geburtsort heute zu {land(state, 'dat')} gehört.",
            f"{own} ({life}) {was} {one} {job}.",
            f"{own} ({life}) {was} {one} {job} und {'wurde' if died else 'ist'} bekannt durch {known}.",
            f"{own} ({life}) {was} {researcher} auf dem Gebiet der {subject}.",
        ],
        [
            [
                f"{he} wurde {born}{at} geboren.",
                f"{own} wurde {born}{at} geboren.",
                f"{his} Geburtsort ist {place}." if at else f"Geboren wurde {he.lower()} {born}.",
            ],
            death,
            age,
            [
                f"Bekannt wurde {he.lower()} vor allem durch {known}.",
                f"Mit {'ihrem' if woman else 'seinem'} Namen verbindet man vor allem {known}.",
                f"{he} wurde durch {known} berühmt.",
                f"Man kennt {'sie' if woman else 'ihn'} vor allem durch {known}.",
            ],
            [
                f"{his} Fachgebiet {was} die {subject}.",
                f"{he} arbeitete vor allem auf dem Gebiet der {subject}.",
                f"{'Ihre' if woman else 'Seine'} wichtigsten Arbeiten gehören zur {subject}.",
            ],
            [
                f"Der Geburtsort liegt, von heute aus gesehen, {within(state)}.",
                f"Nach heutigen Grenzen wurde {he.lower()} {within(state)} geboren.",
            ],
            [
                f"{he} gehört zu den Forschern, die im {century(int(row['born'][:4]))}. Jahrhundert geboren wurden.",
                f"Geboren wurde {he.lower()} im {century(int(row['born'][:4]))}. Jahrhundert.",
            ],
            [f"Auf demselben Gebiet arbeiteten auch {listed(peers)}.", f"Im selben Fach waren auch {listed(peers)} tätig."]
            if len(peers) > 1
            else [],
            [
                f"Viele Bücher über die Geschichte der {subject} erwähnen {'sie' if woman else 'ihn'}.",
                f"In Lehrbüchern findet man {'ihren' if woman else 'seinen'} Namen bis heute.",
                f"Wer {subject} lernt, begegnet {'ihrem' if woman else 'seinem'} Namen noch heute.",
            ],
        ],
        [],
        [place, state["de"], subject, *peers],
        [("Geboren", row["born"]), ("Gestorben", row["died"]), ("Fach", subject)],
        [job],
    )


def language(world: World, row: Row) -> Draft:
    """A language."""
    own, family, script = row["de"], row["family_de"], row["script_de"]
    states = world.countries(row)
    places = [within(c) for c in states][:6]
    many = amount(str(float(row["speakers_million"]) * 1e6))
    kin = [r["de"] for r in world.tables["languages"].values() if r["family_key"] == row["family_key"] and r["key"] != row["key"]][
        :4
    ]
    alone = not given(family) or "isolate" in row["family_key"]
    kind = f"den {bare(family)}"
    with_script = "mit den chinesischen Schriftzeichen" if "zeichen" in script else f"mit {declined(script, 'dat')}"
    return Draft(
        own,
        [
            f"{own} ist eine Sprache, die von rund {many} Menschen gesprochen wird.",
            f"{own} ist eine Sprache, die vor allem {listed(places)} gesprochen wird." if places else f"{own} ist eine Sprache.",
            f"{own} ist eine isolierte Sprache." if alone else f"{own} ist eine Sprache, die zu {kind} gehört.",
            f"{own} ist eine Sprache mit rund {many} Sprechern.",
        ],
        [
            [
                f"Rund {many} Menschen sprechen die Sprache.",
                f"Die Sprache hat rund {many} Sprecher.",
                f"Die Zahl der Sprecher beträgt rund {many}.",
            ],
            [
                f"Gesprochen wird die Sprache vor allem {listed(places)}.",
                f"Die meisten Sprecher leben {listed(places)}.",
                f"{own} hört man vor allem {listed(places)}.",
            ]
            if places
            else [],
            ["Eine Verwandtschaft mit anderen Sprachen ist nicht nachgewiesen.", "Verwandte Sprachen sind nicht bekannt."]
            if alone
            else [
                f"Die Sprache gehört zu {kind}.",
                f"In der Sprachwissenschaft rechnet man {own} zu {kind}.",
                f"Man zählt die Sprache zu {kind}.",
            ],
            [
                f"Geschrieben wird die Sprache {with_script}.",
                f"Man schreibt {own} {with_script}.",
                f"Zum Schreiben {'dienen' if 'zeichen' in script else 'dient'} {script}.",
            ]
            if given(script)
            else [],
            [f"Zu den verwandten Sprachen gehören {listed(kin)}.", f"Verwandt ist die Sprache mit {listed(kin)}."]
            if len(kin) > 1 and not alone
            else [],
            [
                "Kinder lernen sie zu Hause als erste Sprache.",
                "Eltern geben die Sprache an ihre Kinder weiter.",
                "Viele Menschen lernen sie als zweite Sprache.",
            ],
            [
                "In der Sprache gibt es Bücher, Lieder und Zeitungen.",
                "Radio und Zeitungen verwenden die Sprache.",
                "Geschichten und Lieder in dieser Sprache werden bis heute weitergegeben.",
            ],
            [
                f"Wie jede Sprache verändert sich {own} mit der Zeit.",
                "Wörter und Laute unterscheiden sich etwas von Gegend zu Gegend.",
                "Die Dialekte unterscheiden sich von Gegend zu Gegend.",
            ],
            [
                "Wörterbücher und Grammatiken beschreiben die Sprache.",
                "Die Sprachwissenschaft hat ihre Grammatik beschrieben.",
                "Ihre Grammatik wird in vielen Büchern beschrieben.",
            ],
        ],
        [],
        [*[c["de"] for c in states], kind.removeprefix("den "), *kin],
        [("Familie", kind.removeprefix("den ")), ("Sprecher", row["speakers_million"]), ("Schrift", script)],
        ["Einzelsprache"],
    )
