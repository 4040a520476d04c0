"""Spanish articles about numbers, days of the year and years."""

from __future__ import annotations

from sample_core import Draft, upper_first
from sample_reckoning import Day, century, divisors, easter, first_weekday, is_leap, last_weekday, prime_factors, roman
from sample_spanish import al, figure, listed, words
from sample_spanish_names import MONTHS, SEASONS, WEEKDAYS, ZODIAC, day_name
from sample_tables import World


def number(world: World, n: int) -> Draft:
    """A whole number."""
    name, parts, factors = words(n), divisors(n), prime_factors(n)
    parity = "par" if n % 2 == 0 else "impar"
    if n == 1:
        nature = ["No es ni primo ni compuesto.", "No tiene factores primos."]
    elif len(factors) == 1:
        nature = [
            f"Es un número primo: solo es divisible por 1 y por {n}.",
            f"Por ser un número primo, {n} solo se puede dividir por 1 y por sí mismo.",
            f"El {n} es un número primo.",
        ]
    else:
        product = " × ".join(map(str, factors))
        nature = [
            f"Es un número compuesto cuya descomposición en factores primos es {product}.",
            f"Su descomposición en factores primos es {product}.",
            f"Escrito como producto de números primos, es {product}.",
        ]
    shown = listed([str(p) for p in parts])
    return Draft(
        str(n),
        [
            f"El {n} ({name}) es un número natural {parity}.",
            f"El {n} ({name}) es el número natural que sigue al {n - 1} y precede al {n + 1}.",
            f"El {n} es un número natural; en letras se escribe {name}.",
            f"El {n} ({name}) es el número natural situado entre el {n - 1} y el {n + 1}.",
        ],
        [
            [
                f"El número {n} es {parity}.",
                f"Es un número {parity}.",
                f"Es {parity}, porque al dividirlo entre dos el resto es {'cero' if n % 2 == 0 else 'uno'}.",
            ],
            nature,
            [
                f"Su cuadrado es {figure(n * n)}.",
                f"Multiplicado por sí mismo da {figure(n * n)}.",
                f"El cuadrado de {n} es {figure(n * n)}.",
            ],
            [f"Su cubo es {figure(n**3)}.", f"El cubo de {n} es {figure(n**3)}."],
            [
                f"En números romanos se escribe {roman(n)}.",
                f"Los romanos lo escribían {roman(n)}.",
                f"Su número romano es {roman(n)}.",
            ],
            [f"En el sistema binario se escribe {n:b}.", f"Su forma binaria es {n:b}."],
            [
                "Su único divisor es 1." if n == 1 else f"Tiene {words(len(parts))} divisores: {shown}.",
                "Tiene un solo divisor." if n == 1 else f"Sus divisores son {shown}.",
            ],
            [
                f"Sigue al {n - 1} y precede al {n + 1}.",
                f"El número anterior es {n - 1} y el siguiente es {n + 1}.",
                f"Su antecesor es {n - 1} y su sucesor es {n + 1}.",
            ],
            [f"En español, el número se llama {name}.", f"Escrito en letras es {name}.", f"En letras se escribe {name}."],
            [f"Su doble es {2 * n}.", f"El doble de {n} es {2 * n}.", f"Diez veces {n} son {figure(10 * n)}."],
        ],
        [],
        ["número natural", "número primo", "sistema binario"],
        [("valor", str(n)), ("romano", roman(n))],
        ["Números naturales"],
    )


def day(world: World, d: Day) -> Draft:
    """A day of the year."""
    own = day_name(d.month, d.day)
    month, sign, season, south = MONTHS[d.month - 1], ZODIAC[d.zodiac], SEASONS[d.season], SEASONS[(d.season + 2) % 4]
    before, after = d.shifted(-1), d.shifted(1)
    last, following = day_name(before.month, before.day), day_name(after.month, after.day)
    year = "año bisiesto" if d.leap else "año común"
    stamp = d.key[4:].replace("_", "-")
    born = [f"{r['es']} ({r['born'][:4]})" for r in world.scientists_by_day["born" + stamp]][:4]
    died = [f"{r['es']} ({r['died'][:4]})" for r in world.scientists_by_day["died" + stamp]][:4]
    later = []
    if born:
        were = "nacieron" if len(born) > 1 else "nació"
        later.append(
            [
                f"En este día {were} {listed(born)}.",
                f"El {own} {were} {listed(born)}.",
                f"{'Cumplían' if len(born) > 1 else 'Cumplía'} años en este día {listed(born)}.",
            ]
        )
    if died:
        were = "murieron" if len(died) > 1 else "murió"
        later.append([f"El {own} {were} {listed(died)}.", f"En este día {were} {listed(died)}."])
    length = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][d.month - 1]
    return Draft(
        own,
        [
            f"El {own} es el día número {d.ordinal} del año en un {year}.",
            f"El {own} es el día {d.day} del mes de {month}.",
            f"El {own} es un día del mes de {month} tras el cual quedan {d.left} días del año."
            if d.left > 1
            else f"El {own} es el penúltimo día del año."
            if d.left
            else f"El {own} es el último día del año.",
            f"El {own} es el día que sigue al {last} y precede al {following}.",
        ],
        [
            [
                f"Es el día número {d.ordinal} de un {year}.",
                f"En un {year} le corresponde el número {d.ordinal}.",
                f"Contado desde el 1 de enero, es el día número {d.ordinal} de un {year}.",
            ],
            [
                f"Después de este día quedan {d.left} días para el final del año.",
                f"Quedan {d.left} días para acabar el año.",
                f"Faltan todavía {d.left} días para el final del año.",
            ]
            if d.left > 1
            else ["Después solo queda un día del año."]
            if d.left
            else ["El día siguiente es Año Nuevo."],
            [
                f"{upper_first(month)} es el mes número {d.month} del año.",
                f"El día pertenece a {month}, el mes número {d.month} del año.",
            ],
            [f"Le sigue el {following}.", f"El día siguiente es el {following}.", f"El día anterior es el {last}."],
            [
                f"En el hemisferio norte corresponde {al(season)}, en el hemisferio sur {al(south)}.",
                f"Al norte del ecuador, el día pertenece {al(season)}.",
                f"Al sur del ecuador, el día pertenece {al(south)}.",
            ],
            [
                f"El signo del zodiaco de este día es {sign}.",
                f"Las personas nacidas en este día son del signo {sign}.",
                f"En la astrología, el día pertenece al signo {sign}.",
            ],
            ["Solo existe en los años bisiestos.", "Por regla general, el día existe solo una vez cada cuatro años."]
            if d.leap
            else [
                f"En un año bisiesto es el día número {d.ordinal + 1}."
                if d.month > 2
                else "Su número es el mismo en los años bisiestos y en los comunes.",
                "En los años bisiestos, los días a partir de marzo tienen un número más.",
            ],
            [
                "Cada año cae en un día de la semana distinto.",
                "De un año al siguiente avanza un día de la semana, o dos después de un 29 de febrero.",
            ]
            if not d.leap
            else [],
            [f"El mes de {month} tiene {length} días{', y 29 en los años bisiestos' if d.month == 2 else ''}."],
        ],
        [("Personas", later)] if later else [],
        [month, "año bisiesto", sign],
        [("mes", month), ("día", str(d.day)), ("signo", sign)],
        [f"Días de {month}"],
    )


def year(world: World, y: int) -> Draft:
    """A year."""
    own, age, leap = str(y), f"siglo {roman(century(y))}", is_leap(y)
    first, last = WEEKDAYS[first_weekday(y)], WEEKDAYS[last_weekday(y)]
    kind, days = ("año bisiesto", 366) if leap else ("año común", 365)
    month, sunday = easter(y)
    feast = day_name(month, sunday)
    born = [r["es"] for r in world.scientists_by_year["born", own]][:5]
    died = [r["es"] for r in world.scientists_by_year["died", own]][:5]
    found = [f"{'la' if r['es_g'] == 'f' else 'el'} {r['es']}" for r in world.elements_by_year[own]][:5]
    later = []
    if born:
        were = "nacieron" if len(born) > 1 else "nació"
        later.append(
            [f"En {y} {were} {listed(born)}.", f"En este año {were} {listed(born)}.", f"Es el año de nacimiento de {listed(born)}."]
        )
    if died:
        later.append(
            [f"En {y} {'murieron' if len(died) > 1 else 'murió'} {listed(died)}.", f"Es el año de la muerte de {listed(died)}."]
        )
    if found:
        later.append(
            [
                f"En este año se {'descubrieron' if len(found) > 1 else 'descubrió'} {listed(found)}.",
                f"En la química, en este año {'fueron descubiertos' if len(found) > 1 else 'fue descubierto'} {listed(found)}.",
            ]
        )
    return Draft(
        own,
        [
            f"{y} es un año del {age}.",
            f"{y} ({roman(y)}) fue un {kind} que comenzó en {first}.",
            f"{y} fue un {kind} del calendario gregoriano.",
            f"{y} fue un año del {age} que comenzó en {first}.",
        ],
        [
            [
                f"En el calendario gregoriano, el año comenzó en {first}.",
                f"El 1 de enero de {y} fue {first}.",
                f"El día de Año Nuevo fue {first}.",
            ],
            [f"Terminó en {last}.", f"El 31 de diciembre de {y} fue {last}.", f"El último día del año fue {last}."],
            [f"Por ser un {kind}, tuvo {days} días.", f"Fue un {kind} de {days} días.", f"El año tuvo {days} días."],
            [
                f"En números romanos, el año se escribe {roman(y)}.",
                f"Su número romano es {roman(y)}.",
                f"En los edificios antiguos, el año aparece como {roman(y)}.",
            ],
            [
                f"El Domingo de Pascua cayó el {feast}.",
                f"La Pascua se celebró el {feast}.",
                f"En el calendario gregoriano, el Domingo de Pascua fue el {feast}.",
            ],
            [f"Pertenece al {age}.", f"El año forma parte del {age}.", f"El {age} incluye este año."],
            [
                f"Le siguió {y + 1}.",
                f"El año anterior fue {y - 1} y el siguiente fue {y + 1}.",
                f"Vino después de {y - 1} y antes de {y + 1}.",
            ],
            [f"El 29 de febrero de {y} fue {WEEKDAYS[(first_weekday(y) + 59) % 7]}.", "Febrero tuvo 29 días."]
            if leap
            else ["Febrero tuvo 28 días.", "Como en todo año común, febrero tuvo 28 días."],
        ],
        [("Acontecimientos de la ciencia", later)] if later else [],
        [f"{y - 1}", f"{y + 1}", *born, *died, *[f[3:] for f in found]],
        [("año", own), ("romano", roman(y))],
        [upper_first(age)],
    )
