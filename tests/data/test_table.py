"""The result of a stage as text for people and as JSON for programs."""

import json

from data.table import Column, Table

TABLE = Table(
    title="Cities",
    columns=[Column("city"), Column("people", ",d"), Column("share", ".1%"), Column("tokens/s", ",.0f", key="rate")],
    rows=[["Oslo", 1234567, 0.25, 10.4], ["Å", None, 1.0, 1999.6]],
    notes=["A note."],
    result="cities: 2 rows",
    facts={"rows": 2},
)


def test_people_get_aligned_columns_notes_and_the_result() -> None:
    assert TABLE.text().splitlines() == [
        "city     people   share  tokens/s",
        "────  ─────────  ──────  ────────",
        "Oslo  1,234,567   25.0%        10",
        "Å             –  100.0%     2,000",
        "A note.",
        "cities: 2 rows",
    ]
    assert Table(title="nothing", result="done").text() == "done"


def test_programs_get_every_value_as_it_is() -> None:
    content = json.loads(TABLE.json())
    assert content["rows"] == [
        {"city": "Oslo", "people": 1234567, "share": 0.25, "rate": 10.4},
        {"city": "Å", "people": None, "share": 1.0, "rate": 1999.6},
    ]
    assert content["columns"]["rate"] == "tokens/s"
    assert (content["title"], content["result"], content["facts"], content["notes"]) == (
        "Cities",
        "cities: 2 rows",
        {"rows": 2},
        ["A note."],
    )
