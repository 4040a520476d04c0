"""Facts that are reckoned rather than looked up: about whole numbers, days of the year and years."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

MONTH_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
NUMBERS = range(1, 401)
YEARS = range(1600, 2001)
ZODIAC_ENDS = ((1, 19), (2, 18), (3, 20), (4, 19), (5, 20), (6, 20), (7, 22), (8, 22), (9, 22), (10, 22), (11, 21), (12, 21))
_ROMAN = (
    (1000, "M"),
    (900, "CM"),
    (500, "D"),
    (400, "CD"),
    (100, "C"),
    (90, "XC"),
    (50, "L"),
    (40, "XL"),
    (10, "X"),
    (9, "IX"),
    (5, "V"),
    (4, "IV"),
    (1, "I"),
)


def roman(number: int) -> str:
    """The number in Roman numerals."""
    written = ""
    for value, letters in _ROMAN:
        while number >= value:
            written += letters
            number -= value
    return written


def prime_factors(number: int) -> list[int]:
    """The prime factors in ascending order, repeated as often as they divide the number."""
    factors = []
    trial = 2
    while number > 1:
        while number % trial == 0:
            factors.append(trial)
            number //= trial
        trial += 1
    return factors


def divisors(number: int) -> list[int]:
    """All positive divisors in ascending order."""
    return [trial for trial in range(1, number + 1) if number % trial == 0]


@dataclass(frozen=True)
class Day:
    """A day of the year; `ordinal` counts in a common year (29 February: as in a leap year)."""

    month: int
    day: int

    @property
    def key(self) -> str:
        """Such as `day_02_29`."""
        return f"day_{self.month:02d}_{self.day:02d}"

    @property
    def leap(self) -> bool:
        """True for 29 February alone."""
        return (self.month, self.day) == (2, 29)

    @property
    def ordinal(self) -> int:
        """The number of the day in a common year; for 29 February in a leap year."""
        return datetime.date(2000 if self.leap else 2001, self.month, self.day).timetuple().tm_yday

    @property
    def left(self) -> int:
        """How many days then remain in the year."""
        return (366 if self.leap else 365) - self.ordinal

    @property
    def zodiac(self) -> int:
        """The sign of the zodiac: 0 is Capricorn, 1 Aquarius, and so on to 11 Sagittarius."""
        after = self.day > ZODIAC_ENDS[self.month - 1][1]
        return (self.month - 1 + after) % 12

    @property
    def season(self) -> int:
        """The season by the calendar months in the north: 0 winter (December to February), 1 spring, ..."""
        return self.month % 12 // 3

    def shifted(self, days: int) -> Day:
        """The day that many days later, in a leap year only where 29 February itself is concerned."""
        leap_wanted = self.leap
        date = datetime.date(2000 if leap_wanted else 2001, self.month, self.day) + datetime.timedelta(days=days)
        return Day(date.month, date.day)


def all_days() -> list[Day]:
    """The 366 days of a leap year."""
    return [Day(month, day) for month, length in enumerate(MONTH_DAYS, 1) for day in range(1, length + 1)]


def is_leap(year: int) -> bool:
    """True for a leap year of the Gregorian calendar."""
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def first_weekday(year: int) -> int:
    """The day of the week on which the year begins in the Gregorian calendar, 0 being Monday."""
    return datetime.date(year, 1, 1).weekday()


def last_weekday(year: int) -> int:
    """The day of the week on which the year ends, 0 being Monday."""
    return datetime.date(year, 12, 31).weekday()


def century(year: int) -> int:
    """The century, counted so that 1900 still belongs to the nineteenth."""
    return (year + 99) // 100


def easter(year: int) -> tuple[int, int]:
    """Month and day of Easter Sunday in the Gregorian calendar (the rule of Gauss in the form of Meeus)."""
    golden, cent, rest = year % 19, year // 100, year % 100
    epact = (19 * golden + cent - cent // 4 - (cent - (cent + 8) // 25 + 1) // 3 + 15) % 30
    offset = (32 + 2 * (cent % 4) + 2 * (rest // 4) - epact - rest % 4) % 7
    shift = (golden + 11 * epact + 22 * offset) // 451
    month, day = divmod(epact + offset - 7 * shift + 114, 31)
    return month, day + 1
