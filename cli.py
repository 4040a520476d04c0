"""The command line: one thin command per verb. Imports stand inside the commands, so that --help is instant."""

import errno
import json
import logging
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from data.recipe import Recipe

# Said before any library is imported: results and errors are ours to print.
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")

_Command = TypeVar("_Command", bound=Callable[..., Any])


class UserError(click.ClickException):
    """A user's mistake: one line on stderr."""

    exit_code = 2


class Group(click.Group):
    """The commands. A user's mistake becomes one line and exit code 2; anything else is a bug of ours and keeps its traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        from data.storage_faults import storage_fault
        from pipeline.beam.job_errors import JobError
        from vocab.errors import InputError

        try:
            return super().invoke(ctx)
        except InputError as error:
            raise UserError(str(error)) from None
        except JobError as error:
            raise click.ClickException(str(error)) from None
        except OSError as error:
            if fault := storage_fault(error.filename or "the storage", error):
                raise UserError(str(fault)) from None
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM):
                raise
            place = error.filename or "a file"
            raise UserError(
                f"{place}: {error.strerror}; what is unfinished was not kept: make room or access, then run again"
            ) from None

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)  # in the order of the work, not of the alphabet


class RunFolder(click.Path):
    """A run's folder: local, or mounted on every machine; a URI would silently become a folder of that name."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if "://" in str(value):
            self.fail(f"found the URI '{value}'; expected a folder that all workers see under this path", param, ctx)
        return super().convert(value, param, ctx)


class BeamCommand(click.Command):
    """A command that hands everything after `--` to Beam untouched."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if "--" in args:
            place = args.index("--")
            ctx.meta["beam"] = args[place + 1 :]
            args = args[:place]
        return super().parse_args(ctx, args)

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        return [*super().collect_usage_pieces(ctx), "[-- BEAM OPTIONS]"]


def recipe_options(command: _Command) -> _Command:
    """RECIPE, --out and --set, which most commands share."""
    command = click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Override a key of the recipe.")(command)
    command = click.option(
        "--out",
        required=True,
        type=RunFolder(file_okay=False, path_type=Path),
        metavar="RUN",
        help="The run's folder, a local one.",
    )(command)
    return click.argument("recipe", type=click.Path(), metavar="RECIPE")(command)


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="mergedistill")
def main() -> None:
    """Merge many pre-trained masked language models into one, by offline distillation (MergeDistill).

    \b
    Begin with:          mergedistill demo
    With a recipe:       mergedistill run recipe.toml --out runs/mine
    """
    logging.getLogger().setLevel(os.environ.get("MERGEDISTILL_LOG", "ERROR"))  # Beam warns of what no user can act on


@main.command()
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), default=Path("runs/demo"), show_default=True, metavar="RUN"
)
@click.option("--quick", is_flag=True, help="Few steps: shows that everything works, not how well.")
def demo(out: Path, quick: bool) -> None:
    """The whole story on the bundled sample: four small teachers, one student, and a table.

    \b
    Example:  mergedistill demo
    """
    import shutil

    from data import demo as story
    from student.pretrain import pretrain as pretrain_teacher

    if out.exists():
        shutil.rmtree(out) if story.is_demo(out) else _refuse_folder(out)
    recipe, sizes = story.write_recipe(out, quick=quick)
    for language in recipe.corpora:
        _step(f"prepare {language}")
        for split, corpora in (("train", recipe.corpora), ("heldout", recipe.heldout)):
            _prepare([story.sample_dump(language, split)], language, out / Path(corpora[language]).parent, 0, [])
    for teacher in recipe.teachers:
        _step(f"pretrain {teacher.name}")
        language = teacher.languages[0]
        folder = out / teacher.model
        result = pretrain_teacher([recipe.locate_files(recipe.corpora[language])], language, folder, **sizes)
        click.echo(f"{teacher.name}: vocabulary {result.vocab_size:,}, {result.steps} steps, loss {result.loss:.3f}")
    _run(recipe, out, [])
    _step("train the same student on gold labels alone")
    gold = recipe.model_copy(update={"train": recipe.train.model_copy(update={"labels": "gold"})})
    _train(gold, out, "student-gold", resume=False)
    _score(recipe, out, ["student", "student-gold"])
    _how_to_load(out / "student")


@main.command(cls=BeamCommand)
@click.argument("inputs", nargs=-1, required=True, type=click.Path(), metavar="INPUT...")
@click.option("--language", required=True, help="Language code of the text, as de.")
@click.option("--out", required=True, type=click.Path(), metavar="FOLDER", help="Where the article shards go: a new folder or URI.")
@click.option("--heldout", "heldout_percent", type=click.FloatRange(0, 50), default=0.0, metavar="PERCENT")
@click.option(
    "--max-unparseable",
    type=click.FloatRange(0, 1),
    default=0.01,
    show_default=True,
    metavar="SHARE",
    help="Fail if more of an input's articles than this share, and more than ten, cannot be parsed.",
)
@click.pass_context
def prepare(
    ctx: click.Context, inputs: Sequence[str], language: str, out: str, heldout_percent: float, max_unparseable: float
) -> None:
    """Turn Wikipedia dumps, WikiExtractor output, Parquet or plain text into article shards.

    Reads MediaWiki XML (.xml, .bz2, .gz), WikiExtractor output (<doc …> and JSONL, plain or compressed), Parquet with a column
    "text", and plain text with blank lines between articles. --heldout puts that share of the articles into FOLDER/heldout.

    \b
    Example:  mergedistill prepare dewiki.xml.bz2 --language de --out corpora/de --heldout 1
    """
    _prepare(inputs, language, out, heldout_percent, ctx.meta.get("beam", []), max_unparseable)


@main.command()
@click.argument("corpora", nargs=-1, required=True, type=click.Path(), metavar="CORPUS...")
@click.option("--language", required=True, help="Language code of the text, as de.")
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path), metavar="FOLDER")
@click.option("--architecture", default="roformer", show_default=True, help="A transformers model_type with a masked LM.")
@click.option(
    "--family",
    type=click.Choice(["wordpiece", "unigram", "bpe", "byte-level"]),
    default=None,
    show_default="wordpiece",
    help="The kind of vocabulary that is trained from the text.",
)
@click.option("--vocab-size", type=int, default=None, show_default="8000", help="Tokens at most, special tokens included.")
@click.option(
    "--tokenizer",
    type=click.Path(path_type=Path),
    default=None,
    metavar="PATH",
    help="Use this tokenizer as it is, and train none: an HF folder, a tokenizer.json, a vocab.txt or a SentencePiece .model.",
)
@click.option("--layers", type=int, default=2, show_default=True)
@click.option("--hidden-size", type=int, default=256, show_default=True)
@click.option("--heads", type=int, default=4, show_default=True)
@click.option("--steps", type=int, default=None, help="Optimizer steps; three passes over the text unless given.")
@click.option(
    "--special-token", "special_tokens", multiple=True, metavar="ROLE=ID", help="Give pad, unk, cls, sep or mask this id."
)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--resume", is_flag=True, help="Go on from the newest checkpoint of an interrupted call.")
def pretrain(corpora: Sequence[str], language: str, out: Path, special_tokens: Sequence[str], **settings: Any) -> None:
    """Train a small teacher from article shards: its own vocabulary or a given tokenizer, a masked LM, gold labels only.

    A given tokenizer that lacks a pad, unk, cls, sep or mask token gets it after its last id; all other ids stay.

    \b
    Example:  mergedistill pretrain 'corpora/de/*.parquet' --language de --out teachers/de
              mergedistill pretrain 'corpora/de/*.parquet' --language de --out teachers/de --family unigram --vocab-size 4000
              mergedistill pretrain 'corpora/de/*.parquet' --language de --out teachers/de --tokenizer published/spiece.model
              mergedistill pretrain 'corpora/de/*.parquet' --language de --out teachers/de --special-token mask=0
    """
    from student.pretrain import pretrain as pretrain_teacher

    try:
        ids = {role: int(place) for role, place in (token.split("=") for token in special_tokens)}
    except ValueError:
        raise click.BadParameter("expected ROLE=ID, as mask=0", param_hint="--special-token") from None
    result = pretrain_teacher(list(corpora), language, out, special_token_ids=ids, **settings)
    click.echo(
        f"{out}: a teacher of {result.vocab_size:,} tokens, loss {result.loss:.3f} after {result.steps} steps; name it in a recipe"
    )


@main.command(cls=BeamCommand)
@recipe_options
@click.option("--report", is_flag=True, help="Also compare the ways to tokenize, and draw the pictures.")
@click.pass_context
def vocab(ctx: click.Context, recipe: str, out: Path, settings: Sequence[str], report: bool) -> None:
    """Merge the teachers' vocabularies: the union, the teacher maps, the student's tokenizer.

    With --report, after predict: counts the pieces that training shows, writes the tokenizer restricted to them, and says how often
    the union's tokenizer, the restricted and the routed one (each language's own teacher) agree.

    \b
    Example:  mergedistill vocab recipe.toml --out runs/mine
              mergedistill vocab recipe.toml --out runs/mine --report
    """
    loaded, beam = _load(recipe, settings), ctx.meta.get("beam", [])
    _vocab(loaded, out, beam)
    if report:
        _report_vocabulary(loaded, out, beam)


@main.command()
@click.argument("recipe", type=click.Path(), metavar="RECIPE")
@click.option(
    "--out",
    type=RunFolder(file_okay=False, path_type=Path),
    default=None,
    metavar="RUN",
    help="The run's folder: what it has already is not counted.",
)
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Override a key of the recipe.")
@click.option(
    "--rate",
    type=click.FloatRange(min=0, min_open=True),
    default=None,
    show_default="measured here",
    metavar="TFLOPS",
    help="What a process of the machine that will do the work reaches.",
)
def estimate(recipe: str, out: Path | None, settings: Sequence[str], rate: float | None) -> None:
    """What predict has to do and what it will cost, before it runs.

    Reads the footers of the article shards and a few hundred articles of each corpus, and runs each teacher for some seconds. Units
    and articles are exact; ± is half of a 95% interval of windows, masked positions and PFLOPs. Hours are of one process, the loading
    of the teacher and the writing of shards left out.

    \b
    Example:  mergedistill estimate recipe.toml
              mergedistill estimate recipe.toml --out runs/mine --rate 150
    """
    _estimate(_load(recipe, settings), out, rate)


@main.command(cls=BeamCommand)
@recipe_options
@click.option("--teacher", "teachers", multiple=True, metavar="NAME", help="Only this teacher (may be given again).")
@click.pass_context
def predict(ctx: click.Context, recipe: str, out: Path, settings: Sequence[str], teachers: Sequence[str]) -> None:
    """Stage 1: run the teachers, write their top-k logits. Run it again after a failure: it computes what is missing.

    \b
    Example:  mergedistill predict recipe.toml --out runs/mine
              mergedistill predict recipe.toml --out runs/mine -- --direct_num_workers=2 --direct_running_mode=multi_processing
    """
    _predict(_load(recipe, settings), out, ctx.meta.get("beam", []), teachers)


@main.command()
@click.argument("predictions", type=click.Path(), metavar="PREDICTIONS")
@click.option("--json", "as_json", is_flag=True, help="The report as JSON on stdout.")
@click.option("--sample", type=click.IntRange(min=1), metavar="N", help="A quick look: every footer, but N row groups alone.")
@click.pass_context
def validate(ctx: click.Context, predictions: str, as_json: bool, sample: int | None) -> None:
    """Check every rule of the shard contract on every row. Exit code 0: sound; 1: faults; 2: cannot be read.

    --sample N reads N row groups spread over the files, beside every footer, and the report says so.

    \b
    Example:  mergedistill validate runs/mine/predictions
              mergedistill validate runs/mine/predictions --json > report.json
              mergedistill validate s3://bucket/mine/predictions --sample 100
    """
    ctx.exit(_validate(predictions, as_json, sample))


@main.command()
@recipe_options
@click.option("--rows", type=click.IntRange(min=1), default=100, show_default=True, help="How many rows are made again.")
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0),
    default=None,
    show_default="0.05 for float32, 0.5 for bfloat16",
    help="The largest difference of logits that is rounding.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the draw.")
@click.pass_context
def audit(
    ctx: click.Context, recipe: str, out: Path, settings: Sequence[str], rows: int, tolerance: float | None, seed: int
) -> None:
    """Make rows of the cache again from their articles, with the teacher itself, and compare. Exit code 0: sound; 1: faults.

    The rows are drawn at random from all shards. Inputs, masks and gold ids must be the same; logits may differ by rounding. |Δ| is of
    the ids that are in both top k; the gap says how far an id that one of them misses stands above its last.

    \b
    Example:  mergedistill audit recipe.toml --out runs/mine
              mergedistill audit recipe.toml --out runs/mine --rows 1000 --seed 1
    """
    ctx.exit(_audit(_load(recipe, settings), out, rows, tolerance, seed))


@main.command()
@recipe_options
@click.option("--student", "name", default="student", show_default=True, help="The student's folder below RUN.")
@click.option("--resume", is_flag=True, help="Go on from the newest checkpoint.")
def train(recipe: str, out: Path, settings: Sequence[str], name: str, resume: bool) -> None:
    """Stage 2: train the student on the cached predictions; then score it on the held-out articles.

    \b
    Example:  mergedistill train recipe.toml --out runs/mine
              mergedistill train recipe.toml --out runs/mine --student gold --set train.labels=gold
    """
    loaded = _load(recipe, settings)
    _train(loaded, out, name, resume=resume)
    _score(loaded, out, [name])
    _how_to_load(out / name)


@main.command(cls=BeamCommand)
@recipe_options
@click.pass_context
def run(ctx: click.Context, recipe: str, out: Path, settings: Sequence[str]) -> None:
    """vocab, predict, validate and train in turn. Run it again after a failure: it goes on where it stopped.

    \b
    Example:  mergedistill run recipe.toml --out runs/mine
    """
    loaded = _load(recipe, settings)
    _run(loaded, out, ctx.meta.get("beam", []))
    _score(loaded, out, ["student"])
    _how_to_load(out / "student")


@main.command("recipe")
@click.option("--schema", is_flag=True, help="Print the JSON Schema of recipes, for editors and CI.")
@click.argument("path", required=False, type=click.Path(), metavar="[RECIPE]")
def recipe_command(schema: bool, path: str | None) -> None:
    """Check a recipe and print it with every default filled in; or print the JSON Schema of recipes.

    \b
    Example:  mergedistill recipe recipe.toml
              mergedistill recipe --schema > recipe.schema.json
    """
    from data.recipe import Recipe

    if schema:
        click.echo(json.dumps(Recipe.model_json_schema(), indent=2))
    elif path:
        click.echo(_load(path, ()).model_dump_json(indent=2))
    else:
        raise click.UsageError("give a RECIPE, or --schema")


def _load(path: str, settings: Sequence[str]) -> "Recipe":
    from data.recipe_file import load_recipe

    return load_recipe(path, settings)


def _prepare(
    inputs: Sequence[str],
    language: str,
    out: str | Path,
    heldout_percent: float,
    beam: Sequence[str],
    max_unparseable: float = 0.01,
) -> None:
    from pipeline.prepare import prepare as prepare_corpus

    report = prepare_corpus(
        list(inputs), language, str(out), heldout_percent=heldout_percent, max_unparseable=max_unparseable, beam_args=list(beam)
    )
    skipped = ", ".join(f"{count:,} {reason}" for reason, count in sorted(report.skipped.items())) or "none"
    click.echo(f"{out}: {report.articles:,} articles in {len(report.shards)} shards (skipped: {skipped})")


def _vocab(recipe: "Recipe", out: Path, beam: Sequence[str]) -> None:
    from pipeline.vocabulary import make_vocabulary
    from vocab.folder import teacher_table

    union, teachers = make_vocabulary(recipe, out, beam_args=beam)
    _table(*teacher_table(teachers))
    for row in teachers:
        if row.loses:
            click.echo(
                f"{row.teacher} {row.normaliser.describe()}: the student will see {' and '.join(row.loses)}, which it never saw"
            )
    click.echo(f"{out / 'vocab'}: a union of {union.size:,} pieces from {len(teachers)} teachers")


def _report_vocabulary(recipe: "Recipe", out: Path, beam: Sequence[str]) -> None:
    from pipeline.vocabulary_report import agreement_table, report_vocabulary

    report = report_vocabulary(recipe, out, beam_args=beam)
    _table(*agreement_table(report.agreement))
    click.echo(
        "Pieces a word and unk: routed / union / restricted. Never trained (never in this language): share of the union's pieces."
    )
    click.echo(
        f"{out / 'vocab/report'}: pictures and report.json; {out / 'vocab/restricted'}: the tokenizer of the {report.trained:,} pieces of "
        f"{report.pieces:,} that training shows (counted in the {report.counted})"
    )


def _predict(recipe: "Recipe", out: Path, beam: Sequence[str], teachers: Sequence[str] = ()) -> None:
    from data.manifest import language_table
    from pipeline.predict import predict as predict_units

    result = predict_units(recipe, out, teachers=teachers, beam_args=beam)
    each = result.bytes / max(result.masked_positions, 1)
    _table(*language_table(result.languages))
    click.echo(
        f"{result.folder}: {result.units:,} units, {result.computed:,} computed now in {result.seconds:,.1f} s; "
        f"{result.masked_positions:,} masked positions, {each:.1f} bytes each"
    )


def _validate(predictions: str, as_json: bool = False, sample: int | None = None, *, union: Path | None = None) -> int:
    from tqdm import tqdm

    from data.validation.validate import UnionFacts, render
    from data.validation.validate import validate as validate_shards
    from vocab.folder import load_union

    vocabulary = None
    folder = union or Path(predictions).parent / "vocab"
    if (folder / "union.json").exists():
        merged = load_union(folder)
        vocabulary = UnionFacts(size=merged.size, links={link.teacher: (link.size, link.fingerprint) for link in merged.links})
    with tqdm(desc="validate", unit="file", leave=False, delay=1) as bar:

        def on_file(done: int, total: int, name: str) -> None:
            bar.total = total
            bar.update(done - bar.n)

        report = validate_shards(predictions, vocabulary=vocabulary, on_file=on_file, sample=sample)
    text = json.dumps(report.to_json(), indent=2, ensure_ascii=False) if as_json else render(report)
    click.echo(text, err=report.error is not None and not as_json)
    return report.exit_code


def _estimate(recipe: "Recipe", out: Path | None, rate: float | None) -> None:
    from pipeline.estimate import HEADER, has_vocabulary, render, total
    from pipeline.estimate import estimate as estimate_units

    found = estimate_units(recipe, run=out, rate=None if rate is None else rate * 1e12)
    _table(HEADER, render(found))
    survey, finished = total(found), sum(row.finished for row in found)
    click.echo(
        f"From {survey.articles_read:,} of {survey.articles:,} articles; {finished:,} units are there already. TFLOPS: "
        f"{'as given' if rate else 'measured here'}, of one process."
    )
    known = out is not None and has_vocabulary(out)
    if not known and recipe.vocabulary.method != "union":
        click.echo(f"The vocabulary is still to be chosen ({recipe.vocabulary.method}); counted as if every piece were in it.")
    if out is not None and known and not any(row.units for row in found):
        click.echo(f"Next: mergedistill validate {recipe.shards_below(out, 'predictions')}")
    else:
        click.echo(f"Next: mergedistill {'predict' if known else 'vocab'} RECIPE --out {out or 'RUN'}")


def _audit(recipe: "Recipe", out: Path, rows: int, tolerance: float | None, seed: int) -> int:
    from pipeline.audit import HEADER, render, verdict
    from pipeline.audit import audit as audit_rows

    found = audit_rows(recipe, out, rows=rows, tolerance=tolerance, seed=seed)
    _table(HEADER, render(found))
    click.echo(verdict(found))
    return 0 if all(row.sound for row in found) else 1


def _train(recipe: "Recipe", out: Path, name: str, *, resume: bool) -> None:
    from student.train_student import train_student

    result = train_student(recipe, out, name, resume=resume)
    steps = f"{result.steps:,} steps"
    click.echo(f"{result.out}: {'was trained already' if result.already_finished else 'trained'}, {steps}")


def _run(recipe: "Recipe", out: Path, beam: Sequence[str]) -> None:
    _step("vocab")
    _vocab(recipe, out, beam)
    _step("predict")
    _predict(recipe, out, beam)
    _step("validate")
    predictions = recipe.shards_below(out, "predictions")
    if _validate(predictions, union=out / "vocab"):
        raise click.ClickException(f"{predictions} is not sound; nothing was trained")
    _step("vocab --report")
    _report_vocabulary(recipe, out, beam)
    _step("train the student on gold and teacher labels")
    _train(recipe, out, "student", resume=(out / "student").exists())


def _score(recipe: "Recipe", out: Path, names: Sequence[str]) -> None:
    """Score students on the held-out articles, beside their teachers, in one table."""
    from student.heldout import score_table
    from student.train_student import evaluate_student

    if not recipe.heldout:
        click.echo("The recipe names no [heldout] articles: nothing was scored.")
        return
    results = {name: evaluate_student(recipe, out, name) for name in names}
    click.echo("")
    _table(*score_table(results))
    click.echo("RDT: relative deviation from the teacher, of accuracy; positive means that the student is better.\n")


def _how_to_load(folder: Path) -> None:
    click.echo(f"The student is in {folder}. Load it:\n")
    click.echo("from transformers import AutoModelForMaskedLM, AutoTokenizer")
    click.echo(f'tokenizer = AutoTokenizer.from_pretrained("{folder}")')
    click.echo(f'model = AutoModelForMaskedLM.from_pretrained("{folder}")')


def _refuse_folder(out: Path) -> None:
    from vocab.errors import InputError

    raise InputError(f"{out}: exists and is no demo's folder; expected a new folder or an earlier demo's: give another --out")


def _step(title: str) -> None:
    click.secho(f"── {title}", bold=True, err=True)


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table on stdout: the first column to the left, numbers to the right."""
    lines = [tuple(header), *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    for index, line in enumerate(lines):
        cells = [
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        click.echo("  ".join(cells).rstrip())
        if index == 0:
            click.echo("  ".join("─" * width for width in widths))


if __name__ == "__main__":
    sys.exit(main())
