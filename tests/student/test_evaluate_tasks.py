"""`evaluate TASK` from files to RDT: what is trained, what is kept, what is refused."""

import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from data.lock import exclusive
from student.tasks.request import TASKS, task_of
from student.tasks.results import read_evaluation
from tests.support.judged import (
    FAST,
    evaluate,
    make_run,
    treebanks,
    write_entities,
    write_pairs,
    write_questions,
    write_treebank,
    write_treebanks,
)
from vocab.errors import InputError


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("judged")
    make_run(folder)
    write_treebanks(folder)
    return folder


@pytest.fixture
def inside(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(folder)
    return folder


def results(folder: Path, task: str = "udpos") -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / f"{task}.json").read_text())
    return content


BOTH = ["--model", "run/student", "--teacher", "de=teachers/de", "--teacher", "en=teachers/en", *treebanks("de", "en")]


def test_students_and_teachers_in_their_languages(inside: Path) -> None:
    command = ["udpos", *BOTH, "--tokens", "routed", "--seeds", "2", *FAST, "--out", "scores"]
    done = evaluate(*command)
    assert done.exit_code == 0, done.output
    found = results(inside / "scores")
    assert len(found["runs"]) == 2 * (2 + 2)  # two seeds of the student in two languages, and of two teachers
    rows = {(row["language"], row["model"].rpartition("/")[2]): row["accuracy"] for row in found["scores"]}
    assert all(row["mean"] > 40 for row in rows.values())  # 5 tags; what a tag follows from is learned
    name = next(iter(found["rdt"]))
    rdt = found["rdt"][name]["accuracy"]
    by_hand = {
        language: 100 * (rows[language, "student"]["mean"] - rows[language, language]["mean"]) / rows[language, language]["mean"]
        for language in ("de", "en")
    }
    assert rdt["by_language"] == pytest.approx(by_hand)
    assert rdt["mean"] == pytest.approx(sum(by_hand.values()) / 2)
    seeds = [
        sum(
            100 * (rows[language, "student"]["seeds"][seed] / rows[language, language]["seeds"][seed] - 1)
            for language in ("de", "en")
        )
        / 2
        for seed in range(2)
    ]
    assert rdt["seeds"] == pytest.approx(seeds)
    assert json.loads(json.dumps(read_evaluation(inside / "scores/udpos.json").to_json())) == found
    words = sum(1 for line in (inside / "ud/de-test.conllu").read_text().splitlines() if line)
    assert {run["scores"]["de"]["count"] for run in found["runs"] if "de" in run["scores"]} == {words}

    before = {file: file.stat().st_mtime_ns for file in (inside / "scores/runs").iterdir()}
    again = evaluate(*command)
    assert again.stdout == done.stdout
    assert {file: file.stat().st_mtime_ns for file in (inside / "scores/runs").iterdir()} == before
    (inside / "scores/runs/udpos.run%2Fstudent.de.seed1.json").unlink()  # as if the process had died
    assert evaluate(*command).exit_code == 0
    changed = {file for file, time in before.items() if file.stat().st_mtime_ns != time}
    assert [file.name for file in changed] == ["udpos.run%2Fstudent.de.seed1.json"]
    kept = {key: [run[key] for run in results(inside / "scores")["runs"]] for key in ("scores", "best_step", "dev")}
    assert kept == {key: [run[key] for run in found["runs"]] for key in kept}  # the same weights, and so the same scores


@pytest.mark.parametrize(
    "content", ['{"task": "ud', "[]", '{"runs": []}', '{"runs": [{"scores": 3}]}', '{"runs": [{"scores": {}, "tests": {}}]}']
)
def test_a_file_that_is_no_result(content: str, tmp_path: Path) -> None:
    (tmp_path / "udpos.json").write_text(content)
    with pytest.raises(InputError, match=r"udpos\.json: "):
        read_evaluation(tmp_path / "udpos.json")


def test_settings_that_differ_are_refused_and_named(inside: Path) -> None:
    command = ["udpos", "--model", "run/student", *treebanks("de"), *FAST, "--out", "one"]
    assert evaluate(*command).exit_code == 0
    other = evaluate(*command[:-4], "--learning-rate", "0.02", "--out", "one")
    assert other.exit_code == 2
    assert (
        "one/runs/udpos.run%2Fstudent.de.seed0.json: made with other settings: learning_rate: found 0.01, expected 0.02"
        in other.output
    )
    write_treebank(inside / "ud/de-dev.conllu", "de", 10, first=1)
    assert "dev: found" in evaluate(*command).output
    write_treebank(inside / "ud/de-dev.conllu", "de", 9, first=1)
    assert evaluate(*command).exit_code == 0
    write_treebank(inside / "ud/de-test.conllu", "de", 5, first=2)  # other test data: judged again
    assert evaluate(*command).exit_code == 0
    tested = results(inside / "one")["runs"][0]["scores"]["de"]["count"]
    write_treebank(inside / "ud/de-test.conllu", "de", 11, first=2)
    assert evaluate(*command).exit_code == 0
    assert results(inside / "one")["runs"][0]["scores"]["de"]["count"] > tested


def test_what_changes_nothing_keeps_the_results(inside: Path) -> None:
    command = ["udpos", "--model", "run/student", *treebanks("de"), *FAST, "--out", "kept"]
    assert evaluate(*command).exit_code == 0
    (run,) = (inside / "kept/runs").iterdir()
    before = run.stat().st_mtime_ns
    for change in (["--micro-batch", "2"], ["--model", "teachers/en"], ["--teacher", "de=teachers/de"]):
        done = evaluate(*command, *change)
        assert done.exit_code == 0, done.output
        assert run.stat().st_mtime_ns == before, change
    # The part that a model has is that of this call.
    alone = ["udpos", "--model", "teachers/de", *treebanks("de"), *FAST, "--out", "kept"]
    assert evaluate(*alone).exit_code == 0
    assert [row["teacher"] for row in results(inside / "kept")["scores"]] == [False]
    # Another name and compression of the same data.
    packed = inside / "ud/packed.conllu.gz"
    packed.write_bytes(gzip.compress((inside / "ud/de-test.conllu").read_bytes()))
    assert evaluate(*command[:-2], "--test", "de=ud/packed.conllu.gz", "--out", "other").exit_code == 2  # twice the same text
    again = [*command[:3], *treebanks("de", parts=["train", "dev"]), "--test", "de=ud/packed.conllu.gz", *FAST, "--out", "kept"]
    assert evaluate(*again).exit_code == 0
    assert run.stat().st_mtime_ns == before
    # A test language with tags that training has not.
    text = (inside / "ud/en-test.conllu").read_text().replace("VERB", "SYM")
    (inside / "ud/en-odd.conllu").write_text(text)
    odd = [*treebanks("en", parts=["train", "dev"]), "--test", "en=ud/en-odd.conllu"]
    done = evaluate(*command, *odd)
    assert done.exit_code == 0, done.output
    assert run.stat().st_mtime_ns == before
    scores = {row["language"]: row["accuracy"]["mean"] for row in results(inside / "kept")["scores"]}
    assert scores["en"] < 100.0  # an error, not a KeyError


def test_other_test_languages_keep_the_scores_of_earlier_ones(inside: Path, capfd: pytest.CaptureFixture[str]) -> None:
    command = ["udpos", "--model", "run/student", *treebanks("en"), "--protocol", "zero-shot", *FAST, "--out", "more"]
    assert evaluate(*command).exit_code == 0
    (run,) = (inside / "more/runs").iterdir()
    first = json.loads(run.read_text())["scores"]["en"]
    other = ["udpos", "--model", "run/student", *treebanks("en", parts=["train", "dev"]), *treebanks("de", parts=["test"])]
    done = evaluate(*other, "--protocol", "zero-shot", *FAST, "--out", "more")
    assert "is trained again, since it was not tested on these files of de" in done.output
    before = run.stat().st_mtime_ns
    assert evaluate(*command).exit_code == 0
    assert run.stat().st_mtime_ns == before
    assert json.loads(run.read_text())["scores"]["en"]["metrics"] == first["metrics"]


def test_one_call_a_task_writes_a_folder_and_other_tasks_may(inside: Path) -> None:
    write_entities(inside / "locked.tsv", "de", 9)
    write_entities(inside / "locked2.tsv", "de", 5)
    udpos = ["udpos", "--model", "run/student", *treebanks("de"), *FAST, "--out", "locked"]
    entities = ["--train", "de=locked.tsv", "--test", "de=locked2.tsv", "--keep", "last"]
    with exclusive(inside / "locked/udpos", "evaluates"):
        refused = evaluate(*udpos)
        assert (refused.exit_code, "another process evaluates this task" in refused.output) == (2, True), refused.output
        assert evaluate("ner", "--model", "run/student", *entities, *FAST, "--out", "locked").exit_code == 0
    assert evaluate(*udpos).exit_code == 0
    assert not [*(inside / "locked").glob(".*")]


def test_models_with_the_same_last_names_have_longer_ones(inside: Path) -> None:
    for place in ("one", "two"):
        shutil.copytree(inside / "teachers/de", inside / place / "teachers/de", dirs_exist_ok=True)
    done = evaluate("udpos", "--model", "one/teachers/de", "--model", "two/teachers/de", *treebanks("de"), *FAST, "--out", ".")
    assert done.exit_code == 0, done.output
    assert [row["model"] for row in results(inside)["scores"]] == ["one/teachers/de", "two/teachers/de"]


@pytest.mark.parametrize("change", [{"identity": [1]}, {"tests": []}, {"scores": 3}, {"steps": None, "other": 1}])
def test_an_edited_result_is_refused(inside: Path, change: dict[str, Any]) -> None:
    command = ["udpos", "--model", "run/student", *treebanks("de"), *FAST, "--out", "edited"]
    assert evaluate(*command).exit_code == 0
    (run,) = (inside / "edited/runs").iterdir()
    good = run.read_text()
    run.write_text(json.dumps(json.loads(good) | change))
    done = evaluate(*command)
    run.write_text(good)
    assert done.exit_code == 2, done.output
    assert "is not as this program wrote it" in done.output or "made with other settings" in done.output


def test_pan_x_without_an_ending_is_read_as_pan_x(inside: Path) -> None:
    task = task_of("ner")[0]
    file = write_entities(inside / "named.tsv", "de", 6)
    other = shutil.copyfile(file, inside / "named")
    assert task.read([other], None, train=True) == task.read([file], None, train=True)


def test_zero_shot_trains_once_and_tests_everywhere(inside: Path) -> None:
    tests = [*treebanks("en"), *treebanks("de", parts=["test"])]
    command = ["udpos", "--model", "run/student", "--teacher", "de=teachers/de", *tests, "--protocol", "zero-shot", *FAST]
    done = evaluate(*command, "--out", "zero")
    assert done.exit_code == 0, done.output
    runs = results(inside / "zero")["runs"]
    assert [(run["train_language"], sorted(run["scores"])) for run in runs] == [("en", ["de", "en"]), ("en", ["de"])]


@pytest.mark.parametrize("tokens", ["union", "restricted", "routed"])
def test_other_tasks_run_with_each_way_to_read(inside: Path, tokens: str) -> None:
    for part, count in (("train", 16), ("dev", 6), ("test", 7)):
        write_entities(inside / f"{part}.tsv", "de", count)
        write_pairs(inside / f"{part}.pairs.tsv", "de", count)
        write_questions(inside / f"{part}.json", "de", count)

    def files(ending: str, *parts: str) -> list[str]:
        return [option for part in parts for option in (f"--{part}", f"de={part}{ending}")]

    common = ["--model", "run/student", "--tokens", tokens, "--out", f"tasks-{tokens}", *FAST]
    for task, ending, metrics in (
        ("ner", ".tsv", {"f1", "strict_f1", "accuracy"}),
        ("pawsx", ".pairs.tsv", {"accuracy"}),
    ):
        done = evaluate(task, *common, *files(ending, "train", "dev", "test"))
        assert done.exit_code == 0, done.output
        assert metrics <= results(inside / f"tasks-{tokens}", task)["scores"][0].keys()
    done = evaluate("qa", *common, *files(".json", "train", "test"), "--question-length", "6")
    assert done.exit_code == 0, done.output
    (row,) = results(inside / f"tasks-{tokens}", "qa")["scores"]
    assert row["best_f1"]["mean"] == row["best_exact_match"]["mean"] == 100.0
    assert "F1 of answers, squad" in done.output


def test_compare(inside: Path) -> None:
    for out, rate in (("a", "0.01"), ("b", "0.0001")):
        assert (
            evaluate("udpos", "--model", "run/student", *treebanks("de"), *FAST, "--learning-rate", rate, "--out", out).exit_code
            == 0
        )
    done = evaluate("compare", "a/udpos.json", "b/udpos.json", "--json")
    (row,) = json.loads(done.stdout)["rows"]
    assert row["a"] == results(inside / "a")["scores"][0]["accuracy"]["mean"]
    assert row["difference"] == pytest.approx(row["b"] - row["a"])
    assert row["difference"] < 0
    both = ["--model", "run/student", "--model", "teachers/de", *treebanks("de"), *FAST, "--seeds", "2", "--out", "d"]
    assert evaluate("udpos", *both).exit_code == 0
    done = evaluate("compare", "a/udpos.json", "d/udpos.json")
    assert "Left out, since the other has none of this name: teachers/de of d/udpos.json" in done.output.replace("judged0/", "")
    assert "learning_rate: found 0.0001, in A 0.01" in evaluate("compare", "a/udpos.json", "b/udpos.json").output
    (inside / "list.json").write_text(
        '{"task": "udpos", "scorer": "s", "headline": "f1", "scores": [{}], "runs": 3, "settings": {}}'
    )
    write_treebank(inside / "ud/other.conllu", "de", 4)
    other = [*treebanks("de", parts=["train", "dev"]), "--test", "de=ud/other.conllu", *FAST, "--out", "c"]
    assert evaluate("udpos", "--model", "run/student", *other).exit_code == 0
    for second, message in (
        ("c/udpos.json", "found other test data in 'de'"),
        ("none.json", "none.json: no such file; expected the result"),
        ("list.json", "is no result of `mergedistill evaluate`"),
        ("ud/other.conllu", "is not the JSON that this program wrote"),
        ("run/student/config.json", "is no result of `mergedistill evaluate`"),
    ):
        refused = evaluate("compare", "a/udpos.json", second)
        assert (refused.exit_code, message in refused.output) == (2, True), refused.output


def test_the_table_of_settings_in_the_help_is_that_of_the_tasks() -> None:
    lines = {line.split()[0]: line.split() for line in reversed(evaluate("--help").output.splitlines()) if line.strip()}
    for name in TASKS:
        tuning = task_of(name)[0].defaults
        kept = ["last"] if tuning.keep == "last" else ["best", "on", "dev,", "every", f"{tuning.eval_steps:,}", "steps"]
        numbers = [f"{tuning.learning_rate:.0e}", f"{tuning.epochs:g}", str(tuning.max_length), str(tuning.warmup_steps)]
        assert lines[name] == [name, *numbers, f"{tuning.weight_decay:.4f}" if tuning.weight_decay else "0", *kept]
