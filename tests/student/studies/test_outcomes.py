"""What the studies conclude from numbers, against numbers by hand."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from student.studies import beginnings, bilingual, convergence, lean, schedule, students, tail, teachers, vocabulary
from student.studies.catalogue import LANGUAGES, TASKS
from student.studies.deviations import rdt, spread
from student.studies.outcome import Outcome, write_outcome

ALL = {
    "teachers": teachers,
    "students": students,
    "convergence": convergence,
    "tail": tail,
    "vocabulary": vocabulary,
    "lean": lean,
    "beginnings": beginnings,
    "schedule": schedule,
    "bilingual": bilingual,
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


GOLD = dict(zip(convergence.BUDGETS, (7.0, 6.5, 6.0, 5.5, 5.0), strict=True))


def convergence_of(both: Callable[[int, int], float | None]) -> list[str]:
    """What the study says of gold alone's losses GOLD, and of the losses (steps, seed) of gold + teacher."""
    found = {}
    for seed in convergence.SEEDS:
        for steps, gold in GOLD.items():
            found[f"sm2-small {steps} {seed}"] = heldout(gold)
            if (loss := both(steps, seed)) is not None:
                found[f"sm3-small {steps} {seed}"] = heldout(loss)
    return [*convergence.outcome(found).findings]


def test_convergence_says_how_many_times_fewer_steps() -> None:
    faster = dict(zip(convergence.BUDGETS, (6.5, 6.0, 5.0, 4.5, 4.0), strict=True))
    said = convergence_of(lambda steps, seed: faster[steps] + (seed / 100 if steps == 800 else 0))
    assert "3 of 3 seeds reach" in said[0]
    assert "in 4.0 times fewer steps (the median; 4.0 to 4.0): as the paper says" in said[0]
    assert "gold + teacher is 0.990 nats better in held-out loss" in said[1]
    said = convergence_of(lambda steps, seed: 8.0 + seed / 1000)
    assert "does not reach the loss of gold alone within these budgets, with any seed" in said[0]
    assert "worse in held-out loss" in said[1]
    said = convergence_of(lambda steps, seed: 8.0 if seed else faster[steps])
    assert "1 of 3 seeds reach" in said[0]
    said = convergence_of(lambda steps, seed: 1.0)
    assert "already at the smallest budget, 16 times fewer steps" in said[0]


def test_convergence_says_nothing_where_cells_are_missing() -> None:
    assert convergence.outcome({}).findings == []
    assert convergence_of(lambda steps, seed: None) == []
    assert convergence_of(lambda steps, seed: None if steps == 200 else 1.0)[0].startswith("At the largest budget")


def test_seeds_that_differ_more_than_the_labels_show_no_difference() -> None:
    gaps = (0.05, -0.05, 0.01)
    assert any(
        "show no difference in held-out loss" in said for said in convergence_of(lambda steps, seed: GOLD[steps] + gaps[seed])
    )
    assert any("show no difference" in said for said in convergence_of(lambda steps, seed: GOLD[steps]))


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
        "teacher en": {"tokens": 10_000},
        "teacher de": {"tokens": 10_000},
        "teacher en udpos en": scores(en=[90.0, 92.0]),
        "teacher de udpos de": scores(de=[80.0, 80.0]),
        "similar-small": heldout(4.0, -12.0),
        "similar-small udpos en": scores(en=[91.0, 91.0]),
        "similar-small udpos de": scores(de=[78.0, 78.0]),
    }
    outcome = students.outcome(found)
    assert "similar-small: mean RDT -1.2% in udpos; the paper: −0.1 in UDPOS, +0.6 in NER." in outcome.findings
    disjoint, tokens = outcome.tables
    assert disjoint.rows[1][:6] == ["similar-small", "udpos", "–", "78.00 ± 0.00", "91.00 ± 0.00", "–"]
    assert disjoint.rows[1][6] == pytest.approx(-1.25)
    assert tokens.rows[0][:4] == ["similar-small", 10, 1000, 0.05]
    # Half of the cells: no mean, no sentence, no share of tokens.
    for missing in ("teacher de", "similar-small udpos de"):
        del found[missing]
    outcome = students.outcome(found)
    assert not outcome.findings
    assert outcome.tables[0].rows[1][6] is None
    assert outcome.tables[1].rows[0][3:5] == [None, None]
    assert students.outcome(found | {"teacher de udpos de": scores(de=[0.0]), "similar-small udpos de": scores(de=[1.0])}).tables


def test_a_language_with_two_teachers_deviates_from_both() -> None:
    found = {}
    for language in LANGUAGES:
        found[f"teacher broad ner {language}"] = scores(**{language: [40.0]})
        for name in ("both-all-small", "muril-small"):
            found[f"{name} ner {language}"] = scores(**{language: [60.0]})
    for language in ("ar", "zh"):
        found[f"teacher specialist ner {language}"] = scores(**{language: [80.0]})
    assert rdt(found, "muril-small", "muril-small", "ner") == pytest.approx((50 + 50 - 25 - 25) / 4)
    assert rdt(found, "both-all-small", "both-all-small", "ner") == pytest.approx((50 + 50 + 12.5 + 12.5) / 4)


def test_zero_shot_scores_are_those_after_english() -> None:
    found = {}
    for name, zh in (("sm1-small", 40.0), ("sm2-small", 45.0), ("muril-small", 44.0)):
        found[f"{name} ner en"] = scores(ar=[30.0], de=[50.0], en=[60.0], zh=[zh])
        found[f"{name} ner zh"] = scores(zh=[99.0])
        found[f"{name} ner ar"] = scores(ar=[97.0])
    del found["sm1-small ner ar"]
    outcome = students.outcome(found)
    said = " ".join(outcome.findings)
    assert "ner, zero-shot on ar and zh, sm2-small against sm1-small: +2.5 points; what" in said
    assert "ner, zero-shot on ar and zh, muril-small against sm2-small: -0.5 points, which one seed cannot tell from 0;" in said
    rows = {row[0]: row for row in outcome.tables[0].rows}
    assert rows["sm2-small"][1:] == [37.5, 55.0, 98.0, None]
    assert rows["sm1-small"][3] is None  # of zh alone it would be another number


@pytest.mark.parametrize(
    ("special", "other", "verdict"),
    [(-5.0, 0.0, "does make a student fall"), (5.0, 0.0, "No collapse is seen"), (-5.0, -5.0, "not explained by it")],
)
def test_vocabulary_says_whether_longest_match_explains_it(special: float, other: float, verdict: str) -> None:
    found = {}
    for way in vocabulary.WAYS:
        fall = {language: special if language in ("ar", "zh") else other for language in LANGUAGES} if way == "union" else {}
        for task in TASKS:
            found[f"mbert-small, union, {way} {task} en"] = scores(**{one: [70.0 + fall.get(one, 0.0)] for one in LANGUAGES})
    outcome = vocabulary.outcome(found)
    assert [row[:2] for row in outcome.tables[0].rows] == [["mbert-small, union", way] for way in vocabulary.WAYS]
    assert f"changes the score by {special:+.1f} points on ar and zh and by {other:+.1f} on de and en" in outcome.findings[0]
    assert verdict in outcome.findings[0]


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
    nothing = {"100 random gold": heldout(5.0) | {"mean_rdt": None}, "1 150 gold": heldout(5.0) | {"mean_rdt": None}}
    assert beginnings.outcome(nothing).findings == lean.outcome(nothing).findings == []
    assert outcome.tables[0].rows[0][-1] == pytest.approx(-10.0)


def test_schedules() -> None:
    found = {
        "2e-3 linear, annealed (the paper)": heldout(5.2, -33.0),
        "2e-3 linear, gold alone": heldout(6.0, -45.0),
        "2e-3 wsd, wsd": heldout(4.9, -24.0),
        "4e-3 linear, annealed (the paper)": heldout(5.0, -20.0),
        "4e-3 wsd, wsd": heldout(4.9, -21.5),
        "4e-3 wsd, teacher alone": heldout(4.9, -26.0),
        "4e-3 wsd, gold alone": heldout(4.9, -30.0),
    }
    outcome = schedule.outcome(found)
    assert outcome.tables[0].rows[0] == ["2e-3", "linear", 5.2, -33.0, None, None, None, None, 6.0, -45.0]
    assert [*outcome.findings] == [
        "The best: 4e-3 linear, annealed (the paper), with a mean RDT of -20.0%.",
        "Peak 2e-3: wsd of both instead of annealing and a linear decay: +9.0 points of RDT, as causal models show.",
        "Peak 4e-3: wsd of both instead of annealing and a linear decay: -1.5 points of RDT, against what causal models show.",
        "Peak 2e-3, linear: teacher labels, annealed (the paper), against gold labels alone: +12.0 points of RDT.",
        "Peak 4e-3, wsd: teacher labels, wsd, against gold labels alone: +8.5 points of RDT.",
    ]


def test_bilingual_students_against_their_teacher() -> None:
    found = {
        "teacher udpos": scores(en=[90.0], de=[40.0, 50.0], zh=[20.0]),
        "bistil-en-de udpos": scores(en=[89.0], de=[46.0]),
        "bistil-en-zh udpos": scores(en=[88.0], zh=[22.0]),
        "scratch-de udpos": scores(en=[85.0], de=[25.0]),
        "scratch-zh udpos": scores(en=[85.0], zh=[10.0]),
        "bistil-en-de gold udpos": scores(en=[89.5], de=[44.0]),  # the other language is missing
        "teacher ner": scores(en=[50.0], de=[30.0], zh=[1.0]),
    }
    outcome = bilingual.outcome(found)
    rows = {row[0]: row for row in outcome.tables[0].rows}
    assert rows["BiStil"][3] == pytest.approx(((46 - 45) + (22 - 20)) / 2)
    assert rows["bilingual from scratch"][3] == pytest.approx(((25 - 45) + (10 - 20)) / 2)
    assert rows["BiStil without phase 2"][3] is None
    assert rows["teacher, LT-SFT"][3] is None
    assert rows["BiStil"][4:] == ["89.00", "88.00"]
    assert outcome.findings == [
        "udpos, points against the teacher in the target languages: BiStil +1.5; bilingual from scratch -15.0."
    ]
    assert "In ner the teacher itself scores 1.0 in zh: differences there mean nothing." in outcome.limits
    row = {"parameters": 100, "of_the_vocabulary": 50, "tokens": 9, "gflops": 1.0, "seconds": 1.0, "times_as_fast": 1.0}
    small = row | {"parameters": 60, "times_as_fast": 1.9}
    cost = [row | {"model": "teachers/broad"}, small | {"model": "bistil-en-de/student"}]
    found["cost de"] = {"rows": cost}
    said = bilingual.outcome(found).findings[-1]
    assert said == "A bilingual student has 60% of the teacher's parameters and is 1.90 times as fast on one thread."


def test_spread() -> None:
    assert spread([1.0, 3.0]) == f"2.00 ± {math.sqrt(2):.2f}"
    assert spread([2.0]) == "2.00"
    assert spread([]) == "–"
    assert spread([-0.001], ".1f") == "0.0"
    assert spread([math.nan, 1.0]) == "–"
