"""Study bilingual: BiStil at a small scale, zero-shot from English, against its teacher and the paper's baselines."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from student.studies.bilingual_outcome import ALL, PAIRS, SEEDS, SOURCE, TARGETS, TASKS, TEACHER, outcome
from student.studies.catalogue import LANGUAGES, TOKENS, teacher_folder
from student.studies.cells import Cell, Values, task_values
from student.studies.plan import Plan, Settings, Variant, recipe_file, sets
from student.studies.step import Step, output_of
from student.training.metrics import read_rows

__all__ = ["cells", "outcome"]
SHARE = "0.08"
STEPS, WINDOW = 1500, 128


def cells(plan: Plan) -> list[Cell]:
    """The students, their scores in each task, and what each model costs."""
    broad = plan.teacher("broad")
    found, tuned = [], {}
    for task in TASKS:
        step = _scores(plan, task, teacher_folder("broad"), [SOURCE, *TARGETS], after=broad)
        found.append(Cell(name=f"{TEACHER} {task}", step=step, read=task_values))
        tuned[task] = _tuned(plan, task, step)
    shallow = {name: _distilled(plan, name, languages) for name, languages in _students().items()}
    for name, step in shallow.items():
        found.append(Cell(name=name, step=step, read=distilled_values))
    scratch = {f"scratch-{language}": _scratch(plan, language, shallow[name]) for language, name in PAIRS.items()}
    for task in TASKS:
        for language, name in PAIRS.items():
            tests, folder = [SOURCE, language], f"runs/{name}/student"
            taught = _scores(plan, task, folder, tests, after=shallow[name], teacher=tuned[task])
            found.append(Cell(name=f"{name} {task}", step=taught, read=task_values))
            gold = _scores(plan, task, folder, tests, after=shallow[name])
            found.append(Cell(name=f"{name} gold {task}", step=gold, read=task_values))
            alone = _scores(plan, task, f"scratch/{language}", tests, after=scratch[f"scratch-{language}"])
            found.append(Cell(name=f"scratch-{language} {task}", step=alone, read=task_values))
        step = _scores(plan, task, f"runs/{ALL}/student", [SOURCE, *TARGETS], after=shallow[ALL])
        found.append(Cell(name=f"{ALL} {task}", step=step, read=task_values))
    found += [Cell(name=f"cost {language}", step=_cost(plan, language, shallow), read=cost_values) for language in TARGETS]
    return found


def _students() -> dict[str, tuple[str, ...]]:
    return {**{name: (SOURCE, language) for language, name in PAIRS.items()}, ALL: LANGUAGES}


def _distilled(plan: Plan, name: str, languages: tuple[str, ...]) -> Step:
    """Phase 1 of one student in runs/NAME."""
    text = recipe_file("bistil-small", Variant())[1]
    corpora = "".join(f'{language} = "corpora/{language}/students/*.parquet"\n' for language in languages)
    text = re.sub(r"(?<=\[corpora\]\n)(?:\w+ = .*\n)+", corpora, text).replace('name = "bistil-small"', f'name = "{name}"')
    settings: Settings = {"train.steps": plan.scaled(STEPS)}
    return plan.step(
        f"distil {name}",
        ("distil", f"{name}.toml", "--out", f"runs/{name}", *sets(settings), "--json"),
        needs=(plan.teacher("broad"), *(plan.corpus(language) for language in languages)),
        files={f"{name}.toml": text},
    )


def _scratch(plan: Plan, language: str, student: Step) -> Step:
    """A masked LM of the student's shape and pieces, trained on as many tokens of the same text, from random weights."""
    steps = plan.scaled(STEPS * 16 * WINDOW / TOKENS)
    return plan.step(
        f"scratch {language}",
        (
            *("pretrain", *(f"corpora/{one}/students/*.parquet" for one in (SOURCE, language)), "--language", "mul"),
            *("--out", f"scratch/{language}", "--tokenizer", f"runs/{PAIRS[language]}/student", "--layers", "2"),
            *("--hidden-size", str(plan.width), "--heads", "4", "--tokens-per-batch", str(TOKENS), "--steps", str(steps), "--json"),
        ),
        needs=(student,),
    )


def _scores(plan: Plan, task: str, model: str, tests: list[str], *, after: Step, teacher: Step | None = None) -> Step:
    """LT-SFT on English, tested in several languages; with a teacher, phase 2."""
    options = ["--sparse", SHARE, "--full-epochs", TASKS[task], *(["--distil-from", f"tuned/{task}"] if teacher else [])]
    name = "phase 2" if teacher else "sparse"
    return plan.scores(
        model, task, SOURCE, test=tests, seeds=SEEDS, after=after, sparse=options, more=name, needs=(teacher,) if teacher else ()
    )


def _tuned(plan: Plan, task: str, scores: Step) -> Step:
    """The teacher of phase 2: the multilingual model with the first seed's sparse fine-tuning."""
    folder = scores.commands[-1][scores.commands[-1].index("--out") + 1]
    model = teacher_folder("broad")
    file = f"{folder}/sparse/{task}.{quote(model, safe='')}.{SOURCE}.seed0.safetensors"
    return plan.step(f"tuned {task}", ("sparse", "apply", model, file, "--out", f"tuned/{task}"), needs=(scores,))


def _cost(plan: Plan, language: str, students: Mapping[str, Step]) -> Step:
    models = [teacher_folder("broad"), f"runs/{PAIRS[language]}/student", f"runs/{ALL}/student"]
    options = [part for model in models for part in ("--model", model)]
    return plan.step(
        f"cost {language}",
        ("evaluate", "speed", *options, "--text", f"{language}=corpora/{language}/students/heldout/*.parquet", "--json"),
        needs=(students[PAIRS[language]], students[ALL]),
    )


def distilled_values(work: Path, step: Step) -> Values:
    """Of a student of phase 1: its last look at validation, and what was trained."""
    folder = work / step.commands[-1][step.commands[-1].index("--out") + 1] / "student"
    best = min(read_rows(folder, "evaluations.jsonl"), key=lambda row: (row["mean_loss"], row["step"]))
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return {"look": best, "tokens": read_rows(folder)[-1]["tokens"], "vocab_size": config["vocab_size"]}


def cost_values(work: Path, step: Step) -> Values:
    """The rows of `evaluate speed`, as they are: seconds and what follows from them differ from run to run."""
    content = json.loads(output_of(work, step).read_text(encoding="utf-8"))
    return {"rows": content["rows"]}
