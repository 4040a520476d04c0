"""German articles about numbers, days of the year and years."""

from __future__ import annotations

from sample_core import Draft
from sample_german import figure, listed, words
from sample_german_names import MONTHS, SEASONS, WEEKDAYS, ZODIAC, day_name
from sample_reckoning import Day, century, divisors, easter, first_weekday, is_leap, last_weekday, prime_factors, roman
from sample_tables import World


def number(world: World, n: int) -> Draft:
    """A whole number."""
    name, parts, factors = words(n), divisors(n), prime_factors(n)
    parity = "gerade" if n % 2 == 0 else "ungerade"
    if n == 1:
        nature = ["Sie ist weder eine Primzahl noch zusammengesetzt.", "Primfaktoren hat sie nicht."]
    elif len(factors) == 1:
        nature = [
            f"Sie ist eine Primzahl und nur durch 1 und {n} teilbar.",
            f"Als Primzahl lässt sich {n} nur durch 1 und durch sich selbst teilen.",
            f"{n} ist eine Primzahl.",
        ]
    else:
        product = " × ".join(map(str, factors))
        nature = [
            f"Sie ist eine zusammengesetzte Zahl mit der Primfaktorzerlegung {product}.",
            f"Ihre Primfaktorzerlegung lautet {product}.",
            f"Als Produkt von Primzahlen geschrieben ist sie {product}.",
        ]
    shown = listed([str(p) for p in parts])
    return Draft(
        str(n),
        [
            f"{n} ({name}) ist eine {parity} natürliche Zahl.",
            f"{n} ({name}) ist die natürliche Zahl, die auf {n - 1} folgt und vor {n + 1} kommt.",
            f"{n} ist eine natürliche Zahl; in Worten schreibt man {name}.",
            f"{n} ({name}) ist die natürliche Zahl zwischen {n - 1} und {n + 1}.",
        ],
        [
            [
                f"Die Zahl {n} ist {parity}.",
                f"Sie ist eine {parity} Zahl.",
                f"Sie ist {parity}, denn beim Teilen durch zwei bleibt {'kein Rest' if n % 2 == 0 else 'der Rest eins'}.",
            ],
            nature,
            [
                f"Ihr Quadrat ist {figure(n * n)}.",
                f"Mit sich selbst multipliziert ergibt sie {figure(n * n)}.",
                f"Das Quadrat von {n} ist {figure(n * n)}.",
            ],
            [f"Ihre dritte Potenz ist {figure(n**3)}.", f"Die dritte Potenz von {n} ist {figure(n**3)}."],
            [
                f"In römischen Zahlen schreibt man {roman(n)}.",
                f"Die Römer schrieben sie als {roman(n)}.",
                f"Als römische Zahl lautet sie {roman(n)}.",
            ],
            [f"Im Dualsystem schreibt man {n:b}.", f"Im Binärsystem lautet sie {n:b}."],
            [
                "Ihr einziger Teiler ist 1." if n == 1 else f"Sie hat {words(len(parts))} Teiler: {shown}.",
                "Sie hat nur einen Teiler." if n == 1 else f"Ihre Teiler sind {shown}.",
            ],
            [
                f"Sie folgt auf {n - 1} und kommt vor {n + 1}.",
                f"Die Zahl davor ist {n - 1}, die Zahl danach {n + 1}.",
                f"Ihr Vorgänger ist {n - 1}, ihr Nachfolger {n + 1}.",
            ],
            [f"Auf Deutsch heißt die Zahl {name}.", f"Ausgeschrieben lautet sie {name}.", f"In Worten schreibt man {name}."],
            [
                f"Verdoppelt ergibt sie {2 * n}.",
                f"Das Doppelte von {n} ist {2 * n}.",
                f"Das Zehnfache von {n} ist {figure(10 * n)}.",
            ],
        ],
        [],
        ["natürliche Zahl", "Primzahl", "Dualsystem"],
        [("Wert", str(n)), ("Römisch", roman(n))],
        ["Zahl"],
    )


def day(world: World, d: Day) -> Draft:
    """A day of the year."""
    own = day_name(d.month, d.day)
    month, sign, season, south = MONTHS[d.month - 1], ZODIAC[d.zodiac], SEASONS[d.season], SEASONS[(d.season + 2) % 4]
    before, after = d.shifted(-1), d.shifted(1)
    last, following = day_name(before.month, before.day), day_name(after.month, after.day)
    year = "Schaltjahr" if d.leap else "Gemeinjahr"
    stamp = d.key[4:].replace("_", "-")
    born = [f"{r['de']} ({r['born'][:4]})" for r in world.scientists_by_day["born" + stamp]][:4]
    died = [f"{r['de']} ({r['died'][:4]})" for r in world.scientists_by_day["died" + stamp]][:4]
    later = []
    if born:
        later.append(
            [
                f"An diesem Tag {'wurden' if len(born) > 1 else 'wurde'} {listed(born)} geboren.",
                f"Geburtstag {'haben' if len(born) > 1 else 'hat'} an diesem Tag {listed(born)}.",
                f"Am {own} {'kamen' if len(born) > 1 else 'kam'} {listed(born)} zur Welt.",
            ]
        )
    if died:
        later.append(
            [
                f"Am {own} {'starben' if len(died) > 1 else 'starb'} {listed(died)}.",
                f"Gestorben {'sind' if len(died) > 1 else 'ist'} an diesem Tag {listed(died)}.",
            ]
        )
    length = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][d.month - 1]
    return Draft(
        own,
        [
            f"Der {own} ist der {d.ordinal}. Tag des Jahres in einem {year}.",
            f"Der {own} ist der {d.day}. Tag des Monats {month}.",
            f"Der {own} ist ein Tag im {month}, nach dem noch {d.left} Tage des Jahres folgen."
            if d.left > 1
            else f"Der {own} ist ein Tag am Ende des Jahres."
            if d.left
            else f"Der {own} ist der letzte Tag des Jahres.",
            f"Der {own} ist der Tag nach dem {last} und vor dem {following}.",
        ],
        [
            [
                f"Er ist der {d.ordinal}. Tag eines {year}s.",
                f"In einem {year} ist es der Tag mit der Nummer {d.ordinal}.",
                f"Vom 1. Januar an gezählt ist er der {d.ordinal}. Tag eines {year}s.",
            ],
            [
                f"Danach bleiben noch {d.left} Tage bis zum Ende des Jahres.",
                f"Bis zum Jahresende sind es noch {d.left} Tage.",
                f"Es folgen noch {d.left} Tage bis zum Jahresende.",
            ]
            if d.left > 1
            else ["Danach bleibt nur noch ein Tag des Jahres."]
            if d.left
            else ["Auf ihn folgt der Neujahrstag."],
            [f"Der {month} ist der {d.month}. Monat des Jahres.", f"Der Tag liegt im {month}, dem {d.month}. Monat."],
            [f"Auf ihn folgt der {following}.", f"Der nächste Tag ist der {following}.", f"Der Tag davor ist der {last}."],
            [
                f"Auf der Nordhalbkugel liegt der Tag im {season}, auf der Südhalbkugel im {south}.",
                f"Nördlich des Äquators gehört der Tag zum {season}.",
                f"Südlich des Äquators gehört der Tag zum {south}.",
            ],
            [
                f"Das Sternzeichen dieses Tages ist {sign}.",
                f"Wer an diesem Tag geboren ist, hat das Sternzeichen {sign}.",
                f"In der Astrologie gehört der Tag zum Zeichen {sign}.",
            ],
            ["Er kommt nur in Schaltjahren vor.", "In der Regel gibt es den Tag nur alle vier Jahre."]
            if d.leap
            else [
                f"In einem Schaltjahr ist er der {d.ordinal + 1}. Tag."
                if d.month > 2
                else "Seine Nummer ist in Schaltjahren und Gemeinjahren gleich.",
                "In Schaltjahren haben die Tage ab März eine um eins höhere Nummer.",
            ],
            [
                "Von Jahr zu Jahr fällt er auf einen anderen Wochentag.",
                "Von einem Jahr zum nächsten rückt er um einen Wochentag weiter, nach einem Schalttag um zwei.",
            ]
            if not d.leap
            else [],
            [f"Der {month} hat {length} Tage{', in Schaltjahren 29' if d.month == 2 else ''}."],
        ],
        [("Personen", later)] if later else [],
        [month, "Schaltjahr", sign],
        [("Monat", month), ("Tag", str(d.day)), ("Sternzeichen", sign)],
        [f"Tag im {month}"],
    )


def year(world: World, y: int) -> Draft:
    """A year."""
    own, age, leap = str(y), f"{century(y)}.", is_leap(y)
    first, last = WEEKDAYS[first_weekday(y)], WEEKDAYS[last_weekday(y)]
    kind, days = ("Schaltjahr", 366) if leap else ("Gemeinjahr", 365)
    month, sunday = easter(y)
    feast = day_name(month, sunday)
    born = [r["de"] for r in world.scientists_by_year["born", own]][:5]
    died = [r["de"] for r in world.scientists_by_year["died", own]][:5]
    found = [r["de"] for r in world.elements_by_year[own]][:5]
    later = []
    if born:
        were = "wurden" if len(born) > 1 else "wurde"
        later.append(
            [
                f"Im Jahr {y} {were} {listed(born)} geboren.",
                f"In diesem Jahr {were} {listed(born)} geboren.",
                f"Es ist das Geburtsjahr von {listed(born)}.",
            ]
        )
    if died:
        later.append(
            [f"Im Jahr {y} {'starben' if len(died) > 1 else 'starb'} {listed(died)}.", f"Es ist das Todesjahr von {listed(died)}."]
        )
    if found:
        later.append(
            [
                f"In diesem Jahr {'wurden' if len(found) > 1 else 'wurde'} {listed(found)} entdeckt.",
                f"In der Chemie brachte das Jahr die Entdeckung von {listed(found)}.",
            ]
        )
    return Draft(
        own,
        [
            f"{y} ist ein Jahr des {age} Jahrhunderts.",
            f"{y} ({roman(y)}) war ein {kind}, das an einem {first} begann.",
            f"{y} war ein {kind} des gregorianischen Kalenders.",
            f"{y} war ein Jahr des {age} Jahrhunderts, das an einem {first} begann.",
        ],
        [
            [
                f"Im gregorianischen Kalender begann das Jahr an einem {first}.",
                f"Der 1. Januar {y} war ein {first}.",
                f"Der Neujahrstag war ein {first}.",
            ],
            [f"Es endete an einem {last}.", f"Der 31. Dezember {y} war ein {last}.", f"Der letzte Tag des Jahres war ein {last}."],
            [f"Als {kind} hatte es {days} Tage.", f"Es war ein {kind} mit {days} Tagen.", f"Das Jahr hatte {days} Tage."],
            [
                f"In römischen Zahlen schreibt man das Jahr {roman(y)}.",
                f"Als römische Zahl lautet das Jahr {roman(y)}.",
                f"Auf alten Gebäuden steht das Jahr als {roman(y)}.",
            ],
            [
                f"Der Ostersonntag fiel auf den {feast}.",
                f"Ostern wurde am {feast} gefeiert.",
                f"Im gregorianischen Kalender war der {feast} der Ostersonntag.",
            ],
            [
                f"Es gehört zum {age} Jahrhundert.",
                f"Das Jahr ist ein Teil des {age} Jahrhunderts.",
                f"Das Jahr liegt im {age} Jahrhundert.",
            ],
            [
                f"Auf das Jahr folgte {y + 1}.",
                f"Das Jahr davor war {y - 1}, das Jahr danach {y + 1}.",
                f"Es kam nach {y - 1} und vor {y + 1}.",
            ],
            [f"Der 29. Februar {y} war ein {WEEKDAYS[(first_weekday(y) + 59) % 7]}.", "Der Februar hatte 29 Tage."]
            if leap
            else ["Der Februar hatte 28 Tage.", "Wie in jedem Gemeinjahr hatte der Februar 28 Tage."],
        ],
        [("Ereignisse der Wissenschaft", later)] if later else [],
        [f"{y - 1}", f"{y + 1}", *born, *died, *found],
        [("Jahr", own), ("Römisch", roman(y))],
        [f"{age} Jahrhundert"],
    )
