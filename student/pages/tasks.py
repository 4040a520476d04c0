"""The section on the paper's tasks: each result of `mergedistill evaluate`, with RDT, and the scorer's name beside the numbers."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace

from data.table import UNKNOWN
from student.pages.blocks import Block, Figure, Figures, Grid, Heading, Heading3, Key, Note, Section, of_table
from student.pages.plots import Bars, bar_key, draw_bars
from student.pages.run_files import RunFiles
from student.tasks.results import Evaluation, spread
from student.tasks.tables import score_table


@dataclass(frozen=True, kw_only=True, slots=True)
class _Named:
    """A result and its name in the page. `folder`: the name of its run's folder."""

    name: str
    folder: str
    found: Evaluation

    def model(self, name: str) -> str:
        """A model's name without the run's, so that the students of several runs share a row."""
        return name.removeprefix(f"{self.folder}/")

    def models(self, *, teacher: bool) -> dict[str, str]:
        """The models by their names without the run's."""
        return {self.model(name): name for name in self.found.names(teacher=teacher)}


def tasks(runs: Sequence[RunFiles]) -> Section:
    """Results of one task, scorer and metric stay together: only their numbers compare."""
    blocks: list[Block] = [
        Note(
            text=f"{run.label}: no student was fine-tuned on a task yet. This command does it, below the run's folder:",
            command=_evaluate(run),
        )
        for run in runs
        if not run.evaluations
    ]
    groups: dict[tuple[str, str, str], list[_Named]] = {}
    for run in runs:
        for found in run.evaluations:
            folder = found.file.parent.relative_to(run.folder).as_posix()
            name = f"{run.label}: {folder}" if len(runs) > 1 else folder
            named = _Named(name=name, folder=run.folder.resolve().name, found=found)
            groups.setdefault((found.task, found.headline, found.scorer), []).append(named)
    for number, ((task, headline, scorer), results) in enumerate(sorted(groups.items()), start=1):
        blocks.append(Heading3(text=f"{task}: {headline.replace('_', ' ')}"))
        blocks.append(_figure(f"task-{number}", f"{task}: {headline.replace('_', ' ')} by language ({scorer})", results))
        if len(runs) > 1:
            blocks.append(_side_by_side(results))
            continue
        for result in results:
            table = score_table(result.found)
            shown = replace(table, title=f"{table.title}, in {result.name}/{result.found.file.name}")
            blocks.append(of_table(shown, names=2))
    return Section(name="tasks", title="Tasks", blocks=blocks)


def _evaluate(run: RunFiles) -> str:
    model, out = (shlex.quote(str(run.folder / name)) for name in ("student", "evaluation"))
    sparse = " --sparse 0.08" if run.bilingual else ""
    return f"mergedistill evaluate udpos --model {model}{sparse} … --out {out}"


def _figure(name: str, title: str, results: Sequence[_Named]) -> Figures:
    """For each language: its teachers, then the students, with the standard deviation over seeds."""
    languages = _languages(results)
    bars: list[Bars] = []
    keys: list[Key] = []

    def add(label: str, values: Sequence[Sequence[float]]) -> None:
        means = [sum(seeds) / len(seeds) if seeds else None for seeds in values]
        bars.append(Bars(index=len(bars), values=means, spreads=[spread(seeds) for seeds in values]))
        keys.append(bar_key(len(keys), label))

    for result in results:
        found, of = result.found, f" ({result.name})" if len(results) > 1 else ""
        by_language = {language: _teachers(found, language) for language in languages}
        for rank in range(max((len(names) for names in by_language.values()), default=0)):
            seeds = [
                found.values(names[rank], language, found.headline) if rank < len(names) else []
                for language, names in by_language.items()
            ]
            add(("teacher" if rank == 0 else f"teacher number {rank + 1}") + of, seeds)
        for student in found.names(teacher=False):
            add(result.model(student) + of, [found.values(student, language, found.headline) for language in languages])
    headline, scorer = results[0].found.headline.replace("_", " "), results[0].found.scorer
    several = any(len({run.seed for run in result.found.runs}) > 1 for result in results)
    caption = f"Scorer: {scorer}. " + (
        "The lines are ± one standard deviation over seeds." if several else "One seed: no spread is known."
    )
    return Figures(
        figures=[Figure(title=title, svg=draw_bars(name, title, languages, bars, across=f"{headline}, percent"), caption=caption)],
        legend=keys,
    )


def _teachers(found: Evaluation, language: str) -> list[str]:
    """The teachers that were scored in a language."""
    return [name for name in found.names(teacher=True) if found.values(name, language, found.headline)]


def _languages(results: Sequence[_Named]) -> list[str]:
    return list(dict.fromkeys(language for result in results for language in result.found.languages))


def _side_by_side(results: Sequence[_Named]) -> Grid:
    """A row for each language and model, a column for each result; then the RDT of each student."""
    found = [result.found for result in results]
    students = list(dict.fromkeys(name for result in results for name in result.models(teacher=False)))
    models = [*dict.fromkeys(name for result in results for name in result.models(teacher=True)), *students]
    rows = [
        [language, model, *(_mean(result, model, language) for result in results)]
        for language in _languages(results)
        for model in models
        if any(_mean(result, model, language) != UNKNOWN for result in results)
    ]
    rows += [["RDT %, mean", model, *(_rdt(result, model) for result in results)] for model in students]
    notes = [f"Scorer: {found[0].scorer}. ± is the standard deviation over seeds."]
    tests = [{language: str(test.get("test")) for run in one.runs for language, test in run.tests.items()} for one in found]
    other = [
        f"{result.name} in {language}"
        for result, own in zip(results[1:], tests[1:], strict=True)
        for language in own
        if language in tests[0] and own[language] != tests[0][language]
    ]
    if other:
        notes.append(f"Scored on other test data than {results[0].name}, so they do not compare: {', '.join(other)}.")
    return Grid(
        title=f"{found[0].task}: {found[0].scorer}",
        head=[[Heading(text=text) for text in ("language", "model", *(result.name for result in results))]],
        rows=rows,
        names=2,
        notes=notes,
    )


def _mean(result: _Named, model: str, language: str) -> str:
    name = (result.models(teacher=True) | result.models(teacher=False)).get(model)
    values = result.found.values(name, language, result.found.headline) if name else []
    if not values:
        return UNKNOWN
    over = spread(values)
    return f"{sum(values) / len(values):.2f}" + (f" ± {over:.2f}" if over is not None else "")


def _rdt(result: _Named, model: str) -> str:
    name = result.models(teacher=False).get(model)
    deviations = result.found.deviations(name, result.found.headline) if name else None
    if deviations is None:
        return UNKNOWN
    over = spread(deviations.seeds)
    return f"{deviations.mean:+z.1f}" + (f" ± {over:.1f}" if over is not None else "")
