"""The tables of facts: reading them, leaving out rows that cannot be used, and finding one fact from another."""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path

from sample_core import NONE, Row

FACTS = Path(__file__).resolve().parent / "facts"
TABLES = (
    "countries",
    "tongues",
    "elements",
    "planets_and_moons",
    "animals",
    "scientists",
    "cities",
    "rivers",
    "mountains",
    "languages",
    "plants",
)


def read_table(path: Path) -> list[Row]:
    """The rows of one tab-separated table, each as a mapping from column to cell."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    header = lines[0].split("\t")
    rows = []
    for line in lines[1:]:
        cells = [cell.strip() for cell in line.split("\t")]
        if len(cells) == len(header):
            rows.append(dict(zip(header, cells, strict=True)))
        else:
            print(f"{path.name}: {len(cells)} cells instead of {len(header)}: {line[:60]}", file=sys.stderr)
    return rows


class World:
    """All tables, with the rows of each by their key."""

    def __init__(self, folder: Path = FACTS) -> None:
        self.tables: dict[str, dict[str, Row]] = {}
        for table in TABLES:
            path = folder / f"{table}.tsv"
            if not path.exists():
                print(f"no table {path.name}: its articles are left out", file=sys.stderr)
                self.tables[table] = {}
                continue
            rows: dict[str, Row] = {}
            for row in read_table(path):
                if row["key"] in rows:
                    print(f"{path.name}: the key {row['key']} comes twice", file=sys.stderr)
                elif self._known_countries(table, row):
                    if table in ("rivers", "mountains") and self._oceanian(row):
                        row["continent"] = "oceania"
                    rows[row["key"]] = row
            self.tables[table] = rows
        self.in_country: dict[tuple[str, str], list[Row]] = defaultdict(list)
        for table in ("scientists", "cities", "rivers", "mountains", "languages"):
            for row in self.tables[table].values():
                for country in countries_of(row):
                    self.in_country[table, country].append(row)
        self.scientists_by_day: dict[str, list[Row]] = defaultdict(list)
        self.scientists_by_year: dict[tuple[str, str], list[Row]] = defaultdict(list)
        for row in self.tables["scientists"].values():
            for what in ("born", "died"):
                if len(row[what]) == 10:
                    self.scientists_by_day[what + row[what][5:]].append(row)
                if row[what] != NONE:
                    self.scientists_by_year[what, row[what][:4]].append(row)
        self.elements_by_year: dict[str, list[Row]] = defaultdict(list)
        for row in self.tables["elements"].values():
            self.elements_by_year[row["year"]].append(row)

    def _known_countries(self, table: str, row: Row) -> bool:
        unknown = [key for key in countries_of(row) if key not in self.tables["countries"]]
        if unknown and table not in ("countries", "tongues", "elements", "planets_and_moons"):
            print(f"{table}.tsv: {row['key']}: unknown country {', '.join(unknown)}", file=sys.stderr)
            return False
        return True

    @staticmethod
    def _oceanian(row: Row) -> bool:
        return row["continent"] == "oceans" or (row["continent"] == "australia" and countries_of(row) != ["australia"])

    def country(self, key: str) -> Row:
        """The row of a country."""
        return self.tables["countries"][key]

    def countries(self, row: Row) -> list[Row]:
        """The rows of the countries that a row names."""
        return [self.country(key) for key in countries_of(row)]

    def tongues(self, row: Row, lang: str) -> list[str]:
        """The names of the official languages of a country, three at most."""
        keys = [key for key in row["languages"].split(",") if key in self.tables["tongues"]]
        return [self.tables["tongues"][key][lang] for key in keys[:3]]


def countries_of(row: Row) -> list[str]:
    """The country keys in a row's column `country` or `countries`."""
    cell = row.get("country") or row.get("countries") or NONE
    return [key.strip() for key in cell.split(",") if key.strip() and key.strip() != NONE]
