"""Spanish articles about scientists and languages."""

from __future__ import annotations

from sample_core import Draft, Row, given
from sample_reckoning import century, roman
from sample_spanish import amount, de, land, listed, people
from sample_spanish_names import FIELDS, JOBS, date, on
from sample_tables import World


def scientist(world: World, row: Row) -> Draft:
    """A scientist."""
    woman = row["gender"] == "f"
    own, job, subject = row["es"], JOBS[row["field"]][woman], FIELDS[row["field"]]
    one, end = ("una", "a") if woman else ("un", "o")
    state = world.countries(row)[0]
    name, born, died = land(state), on(row["born"]), on(row["died"]) if given(row["died"]) else ""
    place, known, was = row["birth_es"], row["known_es"], "fue" if given(row["died"]) else "es"
    at = f" en {place}" if given(place) else ""
    peers = [
        r["es"]
        for r in world.tables["scientists"].values()
        if r["field"] == row["field"] and r["key"] != row["key"] and r["born"][:2] == row["born"][:2]
    ][:3]
    age: list[str] = []
    if len(row["born"]) == 10 and len(row["died"]) == 10:
        years = int(row["died"][:4]) - int(row["born"][:4]) - (row["died"][5:] < row["born"][5:])
        age = [f"Vivió {years} años.", f"Murió a los {years} años.", f"Tenía {years} años cuando murió."]
    life = f"{date(row['born'])} – {date(row['died'])}" if died else f"nacid{end} {born}"
    expert = "una científica" if woman else "un científico"
    age_name = roman(century(int(row["born"][:4])))
    thanks = known[3:] if known.startswith("el ") else known
    return Draft(
        own,
        [
            f"{own} ({life}) {was} {one} {job} que nació en lo que hoy es {name}."
            if state["es_art"] not in ("los", "las")
            else f"{own} ({life}) {was} {one} {job}.",
            f"{own} ({life}) {was} {one} {job}.",
            f"{own} ({life}) {was} {one} {job} conocid{end} por {known}.",
            f"{own} ({life}) {was} {expert} en el campo {de(subject)}.",
        ],
        [
            [f"Nació {born}{at}.", f"{own} nació {born}{at}.", f"Su lugar de nacimiento es {place}." if at else f"Nació {born}."],
            [f"Murió {died}.", f"{own} murió {died}.", f"Falleció {died}."] if died else [],
            age,
            [
                f"Se hizo famos{end} por {known}.",
                f"Su nombre se asocia sobre todo con {known}.",
                f"Es conocid{end} sobre todo por {known}.",
                f"Alcanzó la fama gracias {'al ' if thanks != known else 'a '}{thanks}.",
            ],
            [
                f"Su especialidad {'era' if died else 'es'} {subject}."
                if not subject.startswith("las")
                else f"Su especialidad {'eran' if died else 'son'} {subject}.",
                f"Trabajó sobre todo en el campo {de(subject)}.",
                f"Sus trabajos más importantes pertenecen a {subject}.",
            ],
            [
                f"Su lugar de nacimiento pertenece hoy a {name}."
                if not name.startswith("el ")
                else f"Su lugar de nacimiento pertenece hoy al {name[3:]}."
            ],
            [f"Forma parte de los científicos nacidos en el siglo {age_name}.", f"Nació en el siglo {age_name}."],
            [
                f"En el mismo campo trabajaron también {listed(peers)}.",
                f"A la misma especialidad se dedicaron también {listed(peers)}.",
            ]
            if len(peers) > 1
            else [],
            [
                f"Muchos libros sobre la historia {de(subject)} mencionan su nombre.",
                "Los libros de texto todavía mencionan su nombre.",
                f"Quien estudia {subject} encuentra su nombre todavía hoy.",
            ],
        ],
        [],
        [place, state["es"], subject.split(" ", 1)[1], *peers],
        [("nacimiento", row["born"]), ("fallecimiento", row["died"]), ("campo", subject.split(" ", 1)[1])],
        [f"{'Científicas' if woman else 'Científicos'}"],
    )


def language(world: World, row: Row) -> Draft:
    """A language."""
    own, family, script = row["es"], row["family_es"], row["script_es"]
    name = f"el {own}"
    states = world.countries(row)
    lands = [land(c) for c in states][:6]
    count = str(float(row["speakers_million"]) * 1e6)
    kin = [
        f"el {r['es']}"
        for r in world.tables["languages"].values()
        if r["family_key"] == row["family_key"] and r["key"] != row["key"]
    ][:4]
    alone = not given(family) or "isolate" in row["family_key"]
    kind = family.removeprefix("las ")
    belongs = "con los caracteres chinos" if "chinos" in script else f"con {script}"
    verb = "habla" if amount(count).startswith("1 mill") else "hablan"
    return Draft(
        own,
        [
            f"El {own} es una lengua que {verb} cerca de {people(count, 'personas')}.",
            f"El {own} es un idioma que se habla sobre todo en {listed(lands)}." if lands else f"El {own} es un idioma.",
            f"El {own} es una lengua aislada." if alone else f"El {own} es un idioma que pertenece al grupo {de(family)}.",
            f"El {own} es un idioma con cerca de {people(count, 'hablantes')}.",
        ],
        [
            [
                f"Lo {verb} cerca de {people(count, 'personas')}.",
                f"El idioma tiene cerca de {people(count, 'hablantes')}.",
                f"Cuenta con cerca de {people(count, 'hablantes')}.",
            ],
            [
                f"Se habla sobre todo en {listed(lands)}.",
                f"La mayoría de sus hablantes vive en {listed(lands)}.",
                f"El idioma se oye sobre todo en {listed(lands)}.",
            ]
            if lands
            else [],
            ["No se ha demostrado su parentesco con otras lenguas.", "No se conocen lenguas emparentadas."]
            if alone
            else [f"Pertenece al grupo {de(family)}.", f"Los lingüistas incluyen {name} entre {family}.", f"Es una de {family}."],
            [
                f"Se escribe {belongs}.",
                f"El {own} se escribe {belongs}.",
                f"Para escribir se {'usan' if script.startswith('los') else 'usa'} {script}.",
            ]
            if given(script)
            else [],
            [f"Entre las lenguas emparentadas figuran {listed(kin)}.", f"Son parientes suyos {listed(kin)}."]
            if len(kin) > 1 and not alone
            else [],
            [
                "Los niños lo aprenden en casa como primera lengua.",
                "Los padres transmiten el idioma a sus hijos.",
                "Muchas personas lo aprenden como segunda lengua.",
            ],
            [
                "En este idioma hay libros, canciones y periódicos.",
                "La radio y los periódicos usan el idioma.",
                "Sus cuentos y canciones se transmiten hasta hoy.",
            ],
            [
                f"Como toda lengua, {name} cambia con el tiempo.",
                "Sus palabras y sonidos varían algo de una región a otra.",
                "Sus dialectos varían de una región a otra.",
            ],
            [
                "Diccionarios y gramáticas describen el idioma.",
                "Los lingüistas han descrito su gramática.",
                "Su gramática se describe en muchos libros.",
            ],
        ],
        [],
        [*[c["es"] for c in states], kind, *[k[3:] for k in kin]],
        [("familia", kind), ("hablantes", row["speakers_million"]), ("escritura", script)],
        ["Lenguas"],
    )
