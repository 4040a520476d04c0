"""English articles about numbers, days of the year and years."""

from __future__ import annotations

from sample_core import Draft, upper_first
from sample_english import MONTHS, SEASONS, WEEKDAYS, ZODIAC, day_name, figure, listed, ordinal, words
from sample_reckoning import Day, century, divisors, easter, first_weekday, is_leap, last_weekday, prime_factors, roman
from sample_tables import World


def number(world: World, n: int) -> Draft:
    """A whole number."""
    name, parts, factors = words(n), divisors(n), prime_factors(n)
    prime, parity = len(factors) == 1, "even" if n % 2 == 0 else "odd"
    if n == 1:
        nature = ["It is neither prime nor composite.", "It has no prime factors."]
    elif prime:
        nature = [
            f"It is a prime number, divisible only by 1 and {n}.",
            f"As a prime number, {n} can be divided only by 1 and by itself.",
            f"{n} is a prime number.",
        ]
    else:
        product = " × ".join(map(str, factors))
        nature = [
            f"It is a composite number with the prime factorisation {product}.",
            f"Its prime factorisation is {product}.",
            f"Written as a product of primes, it is {product}.",
        ]
    before = f"It follows {n - 1} and comes before {n + 1}."
    return Draft(
        str(n),
        [
            f"{n} ({name}) is an {parity} natural number.",
            f"{n} ({name}) is the natural number that follows {n - 1} and comes before {n + 1}.",
            f"{n} is a natural number; in words it is written {name}.",
            f"{n} ({name}) is the natural number between {n - 1} and {n + 1}.",
        ],
        [
            [
                f"The number {n} is {parity}.",
                f"It is an {parity} number.",
                f"It is {parity}, because dividing it by two leaves {'no remainder' if n % 2 == 0 else 'a remainder of one'}.",
            ],
            nature,
            [
                f"Its square is {figure(n * n)}.",
                f"Multiplied by itself it gives {figure(n * n)}.",
                f"The square of {n} is {figure(n * n)}.",
            ],
            [f"Its cube is {figure(n**3)}.", f"The cube of {n} is {figure(n**3)}."],
            [
                f"In Roman numerals it is written {roman(n)}.",
                f"The Romans wrote it as {roman(n)}.",
                f"Its Roman numeral is {roman(n)}.",
            ],
            [f"In the binary system it is written {n:b}.", f"Its binary form is {n:b}."],
            [
                "Its only divisor is 1." if n == 1 else f"It has {words(len(parts))} divisors: {listed([str(p) for p in parts])}.",
                "It has one divisor." if n == 1 else f"Its divisors are {listed([str(p) for p in parts])}.",
            ],
            [
                before,
                f"The number before it is {n - 1}, the number after it is {n + 1}.",
                f"Its predecessor is {n - 1} and its successor {n + 1}.",
            ],
            [f"In English the number is called {name}.", f"Written out, it is {name}.", f"In words one writes {name}."],
            [f"Doubled, it gives {2 * n}.", f"Twice {n} is {2 * n}.", f"Ten times {n} is {figure(10 * n)}."],
        ],
        [],
        ["natural number", "prime number", "binary system"],
        [("value", str(n)), ("roman", roman(n))],
        ["Natural numbers"],
    )


def day(world: World, d: Day) -> Draft:
    """A day of the year."""
    own = day_name(d.month, d.day)
    month, sign, season = MONTHS[d.month - 1], ZODIAC[d.zodiac], SEASONS[d.season]
    south = SEASONS[(d.season + 2) % 4]
    before, after = d.shifted(-1), d.shifted(1)
    kind = "leap year" if d.leap else "common year"
    born = [f"{r['en']} ({r['born'][:4]})" for r in world.scientists_by_day["born" + d.key[4:].replace("_", "-")]][:4]
    died = [f"{r['en']} ({r['died'][:4]})" for r in world.scientists_by_day["died" + d.key[4:].replace("_", "-")]][:4]
    later = []
    if born:
        later.append(
            [
                f"Scientists born on this day include {listed(born)}.",
                f"It is the birthday of {listed(born)}.",
                f"On this day {listed(born)} {'were' if len(born) > 1 else 'was'} born.",
            ]
        )
    if died:
        later.append([f"On {own} {listed(died)} died.", f"{listed(died)} died on this day."])
    return Draft(
        own,
        [
            f"{own} is the {ordinal(d.ordinal)} day of the year in a {kind}.",
            f"{own} is the {ordinal(d.day)} day of the month of {month}.",
            f"{own} is a day in {month}; {d.left} days of the year remain after it."
            if d.left > 1
            else f"{own} is one of the last two days of the year."
            if d.left
            else f"{own} is the last day of the year.",
            f"{own} is the day after {day_name(before.month, before.day)} and before {day_name(after.month, after.day)}.",
        ],
        [
            [
                f"It is the {ordinal(d.ordinal)} day of a {kind}.",
                f"In a {kind} it is day number {d.ordinal}.",
                f"Counted from 1 January, it is the {ordinal(d.ordinal)} day of a {kind}.",
            ],
            [
                f"After it {d.left} days remain until the end of the year.",
                f"There are {d.left} days left in the year.",
                f"Until the end of the year {d.left} days remain.",
            ]
            if d.left > 1
            else ["Only one day remains in the year."]
            if d.left
            else ["It is followed by New Year's Day."],
            [
                f"{upper_first(month)} is the {ordinal(d.month)} month of the year.",
                f"The day lies in {month}, the {ordinal(d.month)} month.",
            ],
            [
                f"It is followed by {day_name(after.month, after.day)}.",
                f"The next day is {day_name(after.month, after.day)}.",
                f"The day before is {day_name(before.month, before.day)}.",
            ],
            [
                f"In the northern hemisphere it falls in {season}, in the southern in {south}.",
                f"North of the equator the day belongs to {season}.",
                f"South of the equator the day belongs to {south}.",
            ],
            [
                f"The sign of the zodiac for this day is {sign}.",
                f"People born on this day have the sign {sign}.",
                f"In astrology the day belongs to the sign {sign}.",
            ],
            ["It occurs only in leap years.", "The day exists only once in four years as a rule."]
            if d.leap
            else [
                f"In a leap year it is the {ordinal(d.ordinal + 1)} day."
                if d.month > 2
                else "Its number is the same in leap years and in common years.",
                "In leap years the days from March onwards have a number higher by one.",
            ],
            [
                "It falls on a different day of the week from one year to the next.",
                "From one year to the next it moves on by one day of the week, after a leap day by two.",
            ]
            if not d.leap
            else [],
            [
                f"The month of {month} has {[31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][d.month - 1]} days"
                f"{', in leap years 29' if d.month == 2 else ''}."
            ],
        ],
        [("People", later)] if later else [],
        [month, "leap year", sign],
        [("month", month), ("day", str(d.day)), ("zodiac", sign)],
        [f"Days of {month}"],
    )


def year(world: World, y: int) -> Draft:
    """A year."""
    own, age = str(y), ordinal(century(y))
    leap, first, last = is_leap(y), WEEKDAYS[first_weekday(y)], WEEKDAYS[last_weekday(y)]
    kind, days = ("leap year", 366) if leap else ("common year", 365)
    month, sunday = easter(y)
    born = [r["en"] for r in world.scientists_by_year["born", own]][:5]
    died = [r["en"] for r in world.scientists_by_year["died", own]][:5]
    found = [r["en"] for r in world.elements_by_year[own]][:5]
    later = []
    if born:
        later.append(
            [
                f"In {y} {listed(born)} {'were' if len(born) > 1 else 'was'} born.",
                f"Scientists born in this year include {listed(born)}.",
                f"It is the year of birth of {listed(born)}.",
            ]
        )
    if died:
        later.append([f"In {y} {listed(died)} died.", f"Scientists who died in this year include {listed(died)}."])
    if found:
        later.append(
            [
                f"The element{'s' * (len(found) > 1)} {listed(found)} "
                f"{'were' if len(found) > 1 else 'was'} discovered in this year.",
                f"In chemistry the year brought the discovery of {listed(found)}.",
            ]
        )
    return Draft(
        own,
        [
            f"{y} is a year of the {age} century.",
            f"{y} ({roman(y)}) was a {kind} that began on a {first}.",
            f"{y} was a {kind} of the Gregorian calendar.",
            f"{y} was a year of the {age} century that began on a {first}.",
        ],
        [
            [
                f"In the Gregorian calendar the year began on a {first}.",
                f"1 January {y} was a {first}.",
                f"New Year's Day was a {first}.",
            ],
            [f"It ended on a {last}.", f"31 December {y} was a {last}.", f"The last day of the year was a {last}."],
            [f"As a {kind} it had {days} days.", f"It was a {kind} with {days} days.", f"The year had {days} days."],
            [
                f"In Roman numerals the year is written {roman(y)}.",
                f"Its Roman numeral is {roman(y)}.",
                f"On old buildings the year appears as {roman(y)}.",
            ],
            [
                f"Easter Sunday fell on {day_name(month, sunday)}.",
                f"Easter was celebrated on {day_name(month, sunday)}.",
                f"In the Gregorian calendar Easter Sunday was {day_name(month, sunday)}.",
            ],
            [
                f"It belongs to the {age} century.",
                f"The year is part of the {age} century.",
                f"The {age} century includes this year.",
            ],
            [
                f"It was followed by {y + 1}.",
                f"The year before was {y - 1}, the year after {y + 1}.",
                f"It came after {y - 1} and before {y + 1}.",
            ],
            [f"29 February {y} was a {WEEKDAYS[(first_weekday(y) + 59) % 7]}.", "Its February had 29 days."]
            if leap
            else ["Its February had 28 days.", "February had 28 days, as in every common year."],
        ],
        [("Events in science", later)] if later else [],
        [f"{y - 1}", f"{y + 1}", *born, *died, *found],
        [("year", own), ("roman", roman(y))],
        [f"{age} century"],
    )
