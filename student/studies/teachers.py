"""Study teachers: the small teachers that all other studies rest on, and how strong they are."""

from collections.abc import Mapping

from data.table import Column, Table, Value
from student.studies import plots
from student.studies.catalogue import TEACHERS
from student.studies.cells import Cell, Values, teacher_values
from student.studies.outcome import Outcome
from student.studies.plan import Plan


def cells(plan: Plan) -> list[Cell]:
    """A cell for each teacher."""
    return [Cell(name=name, step=plan.teacher(name), read=teacher_values) for name in TEACHERS]


def outcome(found: Mapping[str, Values]) -> Outcome:
    """The teachers: text, tokens, loss and accuracy."""
    rows: list[list[Value]] = []
    for name, kind in TEACHERS.items():
        if (values := found.get(name)) is not None:
            rows.append(
                [
                    name,
                    " ".join(kind.languages),
                    kind.layers,
                    values["vocab_size"],
                    values["step"],
                    values["tokens"],
                    values["loss"],
                    values["accuracy"],
                ]
            )
    columns = [
        Column("teacher"),
        Column("languages"),
        Column("layers", ",d"),
        Column("pieces", ",d"),
        Column("steps", ",d"),
        Column("tokens", ",d"),
        Column("loss", ".3f"),
        Column("accuracy", ".1%"),
    ]
    return Outcome(
        title="the small teachers of all studies",
        question=(
            "How strong are the teachers that train here within half an hour? RoFormer with WordPiece vocabularies: four of one language; "
            "a broad one with few pieces for each language, as mBERT; a specialist of two languages, as MuRIL."
        ),
        tables=[
            Table(
                title="Teachers: loss (nats a masked position) and accuracy over the last steps, on training text",
                columns=columns,
                rows=rows,
                notes=["Losses of teachers with different pieces do not compare."],
            )
        ],
        findings=[f"The teachers saw {sum(int(str(row[5])) for row in rows) / 1e6:,.0f} million tokens together."] if rows else [],
        limits=["They are no BERT: what holds for students of such teachers need not hold for students of large ones."],
        plot=plots.bars(
            [str(row[0]) for row in rows], {"accuracy": [100 * float(str(row[7])) for row in rows]}, "right at masked positions, %"
        )
        if rows
        else None,
    )
