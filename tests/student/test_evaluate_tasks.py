"""`evaluate TASK` from files to RDT: what is trained, what is kept, what is refused."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cli import main
from student.evaluate_tasks import TASKS, task_of
from tests.support.factories import save_teacher
from tests.support.judged import make_run, write_entities, write_pairs, write_questions, write_treebank

FAST = ["--epochs", "2", "--batch-size", "8", "--learning-rate", "0.01", "--max-length", "32", "--precision", "float32"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("judged")
    make_run(folder)
    for language in ("de", "en"):
        write_treebank(folder / f"ud/{language}-train.conllu", language, 24)
        write_treebank(folder / f"ud/{language}-dev.conllu", language, 9, first=1)
        write_treebank(folder / f"ud/{language}-test.conllu", language, 11, first=2)
    return folder


@pytest.fixture
def inside(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(folder)
    return folder


def evaluate(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["evaluate", *arguments], catch_exceptions=False)


def treebanks(*languages: str, parts: Sequence[str] = ("train", "dev", "test")) -> list[str]:
    return [part for language in languages for name in parts for part in (f"--{name}", f"{language}=ud/{language}-{name}.conllu")]


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
    words = sum(1 for line in (inside / "ud/de-test.conllu").read_text().splitlines() if line)
    assert {run["scores"]["de"]["count"] for run in found["runs"] if "de" in run["scores"]} == {words}

    before = {file: file.stat().st_mtime_ns for file in (inside / "scores/runs").iterdir()}
    again = evaluate(*command)
    assert again.stdout == done.stdout
    assert {file: file.stat().st_mtime_ns for file in (inside / "scores/runs").iterdir()} == before
    (inside / "scores/runs/udpos.run-student.de.seed1.json").unlink()  # as if the process had died
    assert evaluate(*command).exit_code == 0
    changed = {file for file, time in before.items() if file.stat().st_mtime_ns != time}
    assert [file.name for file in changed] == ["udpos.run-student.de.seed1.json"]
    kept = {key: [run[key] for run in results(inside / "scores")["runs"]] for key in ("scores", "best_step", "dev")}
    assert kept == {key: [run[key] for run in found["runs"]] for key in kept}  # the same weights, and so the same scores


def test_settings_that_differ_are_refused_and_named(inside: Path) -> None:
    command = ["udpos", "--model", "run/student", *treebanks("de"), *FAST, "--out", "one"]
    assert evaluate(*command).exit_code == 0
    other = evaluate(*command[:-4], "--learning-rate", "0.02", "--out", "one")
    assert other.exit_code == 2
    assert (
        "one/runs/udpos.run-student.de.seed0.json: made with other settings: learning_rate: found 0.01, expected 0.02"
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
    write_treebank(inside / "ud/other.conllu", "de", 4)
    other = [*treebanks("de", parts=["train", "dev"]), "--test", "de=ud/other.conllu", *FAST, "--out", "c"]
    assert evaluate("udpos", "--model", "run/student", *other).exit_code == 0
    for second, message in (
        ("c/udpos.json", "found other test data in 'de'"),
        ("none.json", "none.json"),
        ("ud/other.conllu", "is not the JSON that this program wrote"),
        ("run/student/config.json", "is no result of `mergedistill evaluate`"),
    ):
        refused = evaluate("compare", "a/udpos.json", second)
        assert (refused.exit_code, message in refused.output) == (2, True), refused.output


def spoiled(folder: Path) -> dict[str, Path]:
    """Files with one thing wrong."""
    bad = folder / "bad"
    bad.mkdir(exist_ok=True)
    good = (folder / "ud/de-test.conllu").read_text()
    texts = {
        "columns.conllu": good.replace("\t_\t_\t_\t_", "", 1),
        "gap.conllu": good.replace("\n2\t", "\n7\t", 1),
        "empty.conllu": "",
        "tags.tsv": "de:Wort\tORT\n\n",
        "languages.tsv": "de:a\tO\nde:b\tO\nc\tO\n\n",
        "labels.tsv": "a b\tc d\t7\n",
        "one.tsv": "a b c d\n",
        "cut.json": write_questions(folder / "q.json", "de", 3).read_text()[:-9],
        "place.json": (folder / "q.json").read_text().replace('"answer_start": 0', '"answer_start": 3', 1),
        "twice.json": (folder / "q.json").read_text().replace('"id": "q1"', '"id": "q0"'),
        "list.json": "[1, 2]",
    }
    for name, text in texts.items():
        (bad / name).write_text(text, encoding="utf-8")
    write_questions(folder / "q2.json", "de", 4)
    write_questions(bad / "stripped.json", "de", 3, answers=False)
    (bad / "latin.conllu").write_bytes(good.encode("latin-1"))
    save_teacher(folder / "bad/unknown", ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a"])
    (folder / "bad/unknown/model.safetensors").write_bytes(b"nothing")
    return {file.name: file for file in bad.iterdir()}


UDPOS = ["udpos", "--model", "run/student", "--train", "de=ud/de-train.conllu", "--dev", "de=ud/de-dev.conllu"]
QA = ["qa", "--model", "run/student", "--train", "de=q.json", "--max-length", "48", "--question-length", "8"]
NER = ["ner", "--model", "run/student", "--train", "de=bad/tags.tsv", "--keep", "last"]
PAIRS = ["pawsx", "--model", "run/student", "--keep", "last", "--train", "de=bad/labels.tsv"]
BAD = {
    "a line with too few columns": (
        [*UDPOS, "--test", "de=bad/columns.conllu"],
        r"columns.conllu, line 1: found 6 columns",
    ),
    "ids with a gap": ([*UDPOS, "--test", "de=bad/gap.conllu"], r"gap.conllu, line 2: found the id 7; expected 2"),
    "an empty file": ([*UDPOS, "--test", "de=bad/empty.conllu"], "empty.conllu: found no sentence"),
    "no UTF-8": ([*UDPOS, "--test", "de=bad/latin.conllu"], "latin.conllu: .*is no UTF-8"),
    "no such file": ([*UDPOS, "--test", "de=bad/absent*"], "--test de: no file matches 'bad/absent"),
    "an unknown tag": ([*NER, "--test", "de=bad/tags.tsv"], "tags.tsv, line 1: found the tag 'ORT'; expected O, B-TYPE or I-TYPE"),
    "a language missing": ([*NER, "--test", "de=bad/languages.tsv"], "found no 'de:' before the word|found the tag 'ORT'"),
    "an unknown label": ([*PAIRS, "--test", "de=bad/labels.tsv"], "labels.tsv, line 1: found the label '7'; expected one of 0, 1"),
    "one column": (
        [*PAIRS[:-1], "de=bad/one.tsv", "--test", "de=bad/one.tsv"],
        "one.tsv, line 1: found 1 columns; expected two texts",
    ),
    "JSON that is cut": ([*QA, "--test", "de=bad/cut.json"], "cut.json: cannot be read .*expected SQuAD's JSON"),
    "JSON of another kind": ([*QA, "--test", "de=bad/list.json"], "list.json: the file has no list 'data'"),
    "an answer that is not there": (
        [*QA, "--test", "de=bad/place.json"],
        r"place.json, data\[0\].paragraphs\[0\].qas\[0\]: the answer",
    ),
    "answers that were removed": ([*QA, "--test", "de=bad/stripped.json"], "found 3 questions and all answers empty"),
    "an id twice": ([*QA, "--test", "de=bad/twice.json"], "twice.json: the question id 'q0' is there twice"),
    "no room": ([*QA, "--test", "de=q2.json", "--max-length", "384"], "has 64 positions, and --max-length is 384"),
    "no room for a context": (
        [*QA, "--test", "de=q2.json", "--max-length", "10"],
        "max_length 10 leaves 0 pieces for a context",
    ),
    "a language without a teacher": (
        [*UDPOS[:3], "--tokens", "routed", "--train", "fi=ud/de-train.conllu", "--keep", "last", "--test", "fi=ud/de-test.conllu"],
        "no teacher of the recipe reads 'fi' .*--route LANG=TEACHER",
    ),
    "routed without a student": (
        ["udpos", "--model", "teachers/de", *treebanks("de"), "--tokens", "routed"],
        "--tokens routed: found no student of a run among teachers/de",
    ),
    "no development set": ([*UDPOS[:5], "--test", "de=ud/de-test.conllu"], "found no --dev de=…; expected files .* or --keep last"),
    "no training set": ([*UDPOS, "--test", "en=ud/en-test.conllu"], "in-language: found no --train en=…"),
    "two languages to train on": (
        ["udpos", "--model", "run/student", *treebanks("de", "en"), "--protocol", "zero-shot"],
        "zero-shot: found training files in 2 languages",
    ),
    "train and test the same": (
        [*UDPOS, "--test", "de=ud/de-train.conllu"],
        "ud/de-train.conllu is the training file ud/de-train.conllu",
    ),
    "a teacher without a test set": (
        [*UDPOS, "--test", "de=ud/de-test.conllu", "--teacher", "en=teachers/en"],
        "--teacher en=teachers/en: found no --test en=",
    ),
    "a model that is nowhere": (["udpos", "--model", "./absent", *treebanks("de")], "model './absent' is not a folder"),
    "weights that are none": (["udpos", "--model", "bad/unknown", *treebanks("de")], "bad/unknown: cannot be opened as"),
    "labels of no test": (
        [*PAIRS[:-1], "de=test.pairs.tsv", "--test", "de=bad/labels.tsv", "--label-file", "en=labels.txt"],
        "--label-file en=…: found no --test en=…",
    ),
    "no pair": (
        ["udpos", "--model", "run/student", "--train", "ud/de-train.conllu"],
        "found 'ud/de-train.conllu'; expected LANG=FILES",
    ),
    "not a number": (
        [*UDPOS, "--test", "de=ud/de-test.conllu", "--learning-rate", "nan"],
        "found nan|'nan' is not|not in the range",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input(inside: Path, name: str) -> None:
    spoiled(inside)
    write_pairs(inside / "test.pairs.tsv", "de", 4)
    arguments, message = BAD[name]
    done = evaluate(*arguments, *(() if "--max-length" in arguments else ("--max-length", "32")), "--out", "refused")
    assert done.exit_code == 2, done.output
    assert re.search(message, done.output), done.output
    assert "Traceback" not in done.output
    assert not [*(inside / "refused").glob("**/*.json")]


def test_the_table_of_settings_in_the_help_is_that_of_the_tasks() -> None:
    lines = {line.split()[0]: line.split() for line in reversed(evaluate("--help").output.splitlines()) if line.strip()}
    for name in TASKS:
        tuning = task_of(name)[0].defaults
        kept = ["last"] if tuning.keep == "last" else ["best", "on", "dev,", "every", f"{tuning.eval_steps:,}", "steps"]
        numbers = [f"{tuning.learning_rate:.0e}", f"{tuning.epochs:g}", str(tuning.max_length), str(tuning.warmup_steps)]
        assert lines[name] == [name, *numbers, f"{tuning.weight_decay:.4f}" if tuning.weight_decay else "0", *kept]
