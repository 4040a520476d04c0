"""What the studies conclude from numbers, against numbers by hand."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from student.studies import beginnings, convergence, lean, students, tail, teachers, vocabulary
from student.studies.outcome import Outcome, spread, write_outcome

ALL = {
    "teachers": teachers,
    "students": students,
    "convergence": convergence,
    "tail": tail,
    "vocabulary": vocabulary,
    "lean": lean,
    "beginnings": beginnings,
}


def heldout(loss: float, rdt: float = -1.0) -> dict[str, Any]:
    row = {"student_loss": loss, "student_accuracy": 0.3, "calibration_error": loss / 100, "kl": 0.2, "teacher_mass": 0.5}
    rows = [{"language": language, "teacher": "t", **row} for language in ("de", "en")]
    return {"heldout": rows, "mean_rdt": rdt, "step": 10, "tokens": 1000, "bytes_per_position": 25.0}


def scores(**languages: list[float]) -> dict[str, Any]:
    return {"scorer": "s", "scores": languages}


@pytest.mark.parametrize("name", ALL)
def test_a_study_without_a_cell_has_an_outcome(name: str, tmp_path: Path) -> None:
    outcome: Outcome = ALL[name].outcome({})
    write_outcome(name, outcome, tmp_path, ["a note"])
    assert json.loads((tmp_path / "result.json").read_text())["question"] == outcome.question
    assert (tmp_path / "README.md").read_text().endswith("a note\n")


def test_crossing_is_on_a_line_over_log_steps() -> None:
    curve = [(100, 6.0), (400, 4.0), (1600, 3.0)]
    assert convergence.crossing(curve, 5.0) == pytest.approx(200.0)  # half way from log 100 to log 400
    assert convergence.crossing(curve, 4.0) == pytest.approx(400.0)
    assert convergence.crossing(curve, 7.0) == 100.0
    assert convergence.crossing(curve, 2.0) is None
    assert convergence.crossing([], 2.0) is None


def test_convergence_says_how_many_times_fewer_steps() -> None:
    found = {}
    for seed in convergence.SEEDS:
        for steps, gold, both in zip(
            convergence.BUDGETS, (7.0, 6.5, 6.0, 5.5, 5.0), (6.5, 6.0, 5.0, 4.5, 4.0 + seed / 100), strict=True
        ):
            found[f"sm2-small {steps} {seed}"] = heldout(gold)
            found[f"sm3-small {steps} {seed}"] = heldout(both)
    said = convergence.outcome(found).findings
    assert "in 4.0 times fewer steps (4.0 to 4.0 over 3 seeds): as the paper says" in said[0]
    assert "0.990 nats better in held-out loss" in said[1]
    for seed in convergence.SEEDS:
        for steps in convergence.BUDGETS:
            found[f"sm3-small {steps} {seed}"] = heldout(8.0)
    said = convergence.outcome(found).findings
    assert "the paper's claim of 5 times fewer steps fails here" in said[0]
    assert "worse" in said[1]


def test_no_difference_where_seeds_differ_more() -> None:
    found = {}
    for seed, gap in zip(convergence.SEEDS, (0.05, -0.05, 0.01), strict=True):
        found[f"sm2-small {convergence.BUDGETS[-1]} {seed}"] = heldout(5.0)
        found[f"sm3-small {convergence.BUDGETS[-1]} {seed}"] = heldout(5.0 + gap)
    assert any("do not differ in held-out loss" in finding for finding in convergence.outcome(found).findings)


def test_tail_compares_rules() -> None:
    found = {
        "top-8 renormalise": heldout(5.0),
        "top-8 ghost": heldout(5.2),
        "top-1 gold": heldout(6.0),
        "top-64 gold": heldout(4.5),
        "gold alone": heldout(5.5),
    }
    outcome = tail.outcome(found)
    assert [row[0] for row in outcome.tables[0].rows] == [
        "top-1 gold",
        "top-8 renormalise",
        "top-8 ghost",
        "top-64 gold",
        "gold alone",
    ]
    said = " ".join(outcome.findings)
    assert "top-64 gold, 4.500; gold alone has 5.500" in said
    assert "gold: from k = 1 to k = 64 the loss goes from 6.000 to 4.500" in said
    assert "a ghost outcome gives a higher loss than renormalising (5.200 against 5.000), against what causal models show" in said
    assert "Best calibrated: top-64 gold (4.5%); worst: top-1 gold (6.0%)" in said


def test_students_against_their_teachers() -> None:
    found = {
        "teacher en": {"tokens": 10_000, "loss": 3.0},
        "teacher de": {"tokens": 10_000, "loss": 3.0},
        "teacher en udpos en": scores(en=[90.0, 92.0]),
        "teacher de udpos de": scores(de=[80.0, 80.0]),
        "similar-small": heldout(4.0, -12.0),
        "similar-small udpos en": scores(en=[91.0, 91.0]),
        "similar-small udpos de": scores(de=[78.0, 78.0]),
    }
    outcome = students.outcome(found)
    assert "similar-small: mean RDT -1.2% in udpos; the paper: −0.1 in UDPOS, +0.6 in NER." in outcome.findings
    disjoint, tokens = outcome.tables
    assert disjoint.rows[1] == ["similar-small", "udpos", "–", "78.00 ± 0.00", "91.00 ± 0.00", "–", "-1.2"]
    assert tokens.rows[0][:4] == ["similar-small", 10, 1000, 0.05]


def test_zero_shot_scores_are_those_after_english() -> None:
    found = {}
    for name, zh in (("sm1-small", 40.0), ("sm2-small", 45.0), ("muril-small", 44.0)):
        found[f"{name} ner en"] = scores(ar=[30.0], de=[50.0], en=[60.0], zh=[zh])
        found[f"{name} ner zh"] = scores(zh=[99.0])
    outcome = students.outcome(found)
    said = " ".join(outcome.findings)
    assert "ner, zero-shot on ar and zh, sm2-small against sm1-small: +2.5 points" in said
    assert "ner, zero-shot on ar and zh, muril-small against sm2-small: -0.5 points" in said
    rows = {row[0]: row for row in outcome.tables[0].rows}
    assert rows["sm2-small"][1:4] == [37.5, 55.0, 99.0]


def test_vocabulary_says_whether_longest_match_explains_it() -> None:
    found = {}
    for way, special in (("union", 40.0), ("restricted", 44.0), ("routed", 45.0)):
        for task, languages in vocabulary.TASKS.items():
            for language in languages:
                found[f"union {way} {task} {language}"] = scores(
                    **{language: [special if language in vocabulary.SPECIAL else 70.0]}
                )
    said = " ".join(vocabulary.outcome(found).findings)
    assert "union: reading as the teacher did is worth +5.00 points on ar and zh, and +0.00 on de" in said
    assert "longest match does explain" in said


def test_lean_and_beginnings() -> None:
    found = {
        f"{share} 150 {labels}": heldout(5.0, rdt)
        for share, both in ((1, -5.0), (100, -9.0))
        for labels, rdt in (("gold+teacher", both), ("gold", -10.0))
    }
    said = lean.outcome(found).findings
    assert "+5.0 at 1% and 150 steps; +1.0 at 100% and 150 steps" in said[0]
    found = {
        "100 random gold+teacher": heldout(5.0, -13.0),
        "100 random gold": heldout(5.0, -30.0),
        "teacher 100 udpos": scores(de=[90.0, 90.0]),
        "100 random gold udpos": scores(de=[81.0, 81.0]),
    }
    outcome = beginnings.outcome(found)
    assert "+17.0 points (random)" in outcome.findings[0]
    assert outcome.tables[0].rows[0][-1] == pytest.approx(-10.0)


def test_spread() -> None:
    assert spread([1.0, 3.0]) == f"2.00 ± {math.sqrt(2):.2f}"
    assert spread([2.0]) == "2.00"
    assert spread([]) == "–"
    assert spread([-0.001], ".1f", sign=True) == "+0.0"
