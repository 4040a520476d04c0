"""The command line: one thin command for each verb. Libraries are imported inside the commands, so that --help is instant."""

import json
import logging
import math
import os
import re
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from data.run import Run
    from data.table import Table

# Before any library is imported: this file prints results and errors, the libraries print nothing.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")

_Command = TypeVar("_Command", bound=Callable[..., Any])


class UserError(click.ClickException):
    """A user's mistake: one line on stderr."""

    exit_code = 2


class Group(click.Group):
    """The commands. A user's mistake becomes one line and exit code 2. Any other exception is a bug and keeps its traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        from data.interruption import one_line_when_interrupted
        from data.storage_faults import users_fault
        from pipeline.beam.job_errors import JobError
        from vocab.errors import InputError

        try:
            with one_line_when_interrupted():
                return super().invoke(ctx)
        except InputError as error:
            raise UserError(str(error)) from None
        except JobError as error:
            raise click.ClickException(str(error)) from None
        except OSError as error:
            if fault := users_fault(error):
                raise UserError(str(fault)) from None
            raise

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)  # in the order of the work, not of the alphabet


class RunFolder(click.Path):
    """The folder of a run. It must be local or mounted: a URI would silently become a folder with that name."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not str(value).strip():
            self.fail("is empty; expected a folder", param, ctx)
        if "://" in str(value):
            self.fail(f"found the URI '{value}'; expected a folder that all workers see under this path", param, ctx)
        return super().convert(value, param, ctx)


class Number(click.FloatRange):
    """A number in a range. "nan" is in no range, though no comparison says so."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        found = super().convert(value, param, ctx)
        return found if math.isfinite(found) else self.fail(f"found {value}; expected a finite number", param, ctx)


class Pair(click.ParamType):  # type: ignore[type-arg]  # older releases of click have none
    """KEY=VALUE, as "de=teachers/de"."""

    def __init__(self, name: str):
        self.name = name

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, tuple):
            return value
        key, mark, found = str(value).partition("=")
        if not mark or not re.fullmatch(r"[\w-]+", key.strip()) or not found.strip():
            self.fail(f"found '{value}'; expected {self.name}, with a language code as de", param, ctx)
        return key.strip(), found.strip()


class BeamCommand(click.Command):
    """A command that passes everything after `--` to Beam unchanged."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if "--" in args:
            place = args.index("--")
            ctx.meta["beam"] = args[place + 1 :]
            args = args[:place]
        return super().parse_args(ctx, args)

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        return [*super().collect_usage_pieces(ctx), "[-- BEAM OPTIONS]"]


RUN_FOLDER = RunFolder(file_okay=False, path_type=Path)
LOCAL_FOLDER = RunFolder(file_okay=False, path_type=Path)
LANGUAGE = Pair("LANG=FILES")
POSITIVE = click.IntRange(min=1)
PATH = click.Path(path_type=Path)
ARTICLES = click.Choice(["lines", "blank-lines", "file"])
FAMILY = click.Choice(["wordpiece", "unigram", "bpe", "byte-level"])
RATE = Number(min=0, min_open=True)
SHARE = Number(0, 1)
set_option = click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Override a key of the recipe.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON, and nothing else, on stdout.")
precision_option = click.option("--precision", type=click.Choice(["auto", "float32", "tf32", "bfloat16"]), default="auto")
model_options = [
    click.option(
        "--model", "models", multiple=True, required=True, metavar="MODEL", help="A student or any masked LM: folder, Hub id."
    ),
    click.option(
        "--teacher", "teachers", type=Pair("LANG=MODEL"), multiple=True, help="The teacher of a language, to compare with."
    ),
    click.option("--tokens", type=click.Choice(["union", "restricted", "routed"]), show_default="union", help="How students read."),
    click.option(
        "--route", type=Pair("LANG=TEACHER"), multiple=True, help="Whose tokenizer reads a language, with --tokens routed."
    ),
]
recipe_argument = click.argument("recipe", type=click.Path(), metavar="RECIPE")


def _with(options: Sequence[Any]) -> Callable[[_Command], _Command]:
    """Several options as one decorator."""

    def decorate(command: Any) -> Any:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def run_options(command: _Command) -> _Command:
    """RECIPE, --out and --set, which most commands share."""
    out = click.option("--out", required=True, type=RUN_FOLDER, metavar="RUN", help="The folder of the run, a local one.")
    return recipe_argument(out(set_option(command)))


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="mergedistill")
@click.option(
    "--log-level",
    type=click.Choice(["DEBUG", "INFO", "WARNING", "ERROR"], case_sensitive=False),
    default="ERROR",
    show_default=True,
    envvar="MERGEDISTILL_LOG",
    show_envvar=True,
    help="What the libraries may say on stderr: Beam, transformers and others.",
)
def main(log_level: str) -> None:
    """Merge many pre-trained masked language models into one, by offline distillation (MergeDistill).

    \b
    Begin with:          mergedistill demo
    With a recipe:       mergedistill run recipe.toml --out runs/mine
    """
    # By default errors only: Beam's warnings are about things that no user can change.
    os.environ["MERGEDISTILL_LOG"] = log_level  # of worker processes, and of the commands that a command calls
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", log_level.lower())  # who set it has chosen
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger().setLevel(log_level)


@main.command()
@click.option("--out", type=LOCAL_FOLDER, default=Path("runs/demo"), show_default=True, metavar="RUN")
@click.option("--quick", is_flag=True, help="Few steps: shows that everything works, not how well.")
def demo(out: Path, quick: bool) -> None:
    """Run everything on the bundled sample: four small teachers, four students, and tables that compare them.

    Each step is a command of this program. It is printed before it runs.

    \b
    Example:  mergedistill demo
    """
    from data.demo import LABELS, WAYS, commands, comparison, start_folder
    from student.heldout import read_heldout
    from student.training.metrics import read_rows

    start_folder(out)
    for command in commands(out, quick=quick):
        _call(*command)
    scores = {name: read_heldout(out / name) for name in (way + labels for way in WAYS for labels in LABELS.values())}
    steps = read_rows(out / "student")[-1]["step"]
    click.echo()
    _print(comparison({name: heldout.mean_rdt for name, heldout in scores.items() if heldout}, steps), False)
    _call("report", str(out))


@main.command(cls=BeamCommand)
@click.argument("inputs", nargs=-1, required=True, type=click.Path(), metavar="INPUT...")
@click.option("--language", required=True, help="Language code of the text, as de.")
@click.option("--out", required=True, type=click.Path(), metavar="FOLDER", help="Where the article shards go: a new folder or URI.")
@click.option("--heldout", type=Number(0, 50), default=0.0, metavar="PERCENT", help="Articles for FOLDER/heldout.")
@click.option(
    "--max-unparseable", type=SHARE, default=0.01, show_default=True, help="Fail if more articles (and over 10) are broken."
)
@click.option("--templates", type=PATH, help="TOML that adds to pipeline/corpus/templates.toml: what wiki templates show.")
@click.option("--articles", "articles_by", type=ARTICLES, default="blank-lines", show_default=True, help="Of plain text.")
@click.option("--id-prefix", default="", metavar="TEXT", help='Put before each id; "{input}" is the name of the input.')
@json_option
def prepare(inputs: Sequence[str], language: str, out: str, heldout: float, as_json: bool, **options: Any) -> None:
    """Turn Wikipedia dumps, WikiExtractor output, Parquet or plain text into article shards.

    Reads MediaWiki XML, WikiExtractor output (<doc …> and JSONL), Parquet with a column "text", and plain text.

    \b
    Example:  mergedistill prepare dewiki.xml.bz2 --language de --out corpora/de --heldout 1
    """
    from pipeline.prepare import prepare as prepare_corpus

    report = prepare_corpus(
        inputs, language, out, heldout_percent=heldout, beam_args=click.get_current_context().meta.get("beam", []), **options
    )
    _print(report.table(out), as_json)


@main.command()
@click.argument("corpora", nargs=-1, required=True, type=click.Path(), metavar="CORPUS...")
@click.option("--language", required=True, help="Language code of the text, as de.")
@click.option("--out", required=True, type=LOCAL_FOLDER, metavar="FOLDER")
@click.option("--architecture", default="roformer", show_default=True, help="A transformers model_type with a masked LM.")
@click.option("--family", type=FAMILY, show_default="wordpiece", help="The kind of vocabulary that is trained from the text.")
@click.option("--vocab-size", type=int, show_default="8000", help="Largest number of tokens, special tokens included.")
@click.option(
    "--tokenizer", type=PATH, help="Use this one and train none: an HF folder, tokenizer.json, vocab.txt or SentencePiece .model."
)
@click.option("--layers", type=int, default=2, show_default=True)
@click.option("--hidden-size", type=int, default=256, show_default=True)
@click.option("--heads", type=int, default=4, show_default=True)
@click.option("--steps", type=int, show_default="three passes over the text", help="Optimizer steps.")
@click.option("--tokens-per-batch", type=int, default=4096, show_default=True, help="Of an optimizer step, padding included.")
@click.option(
    "--special-token", "special_tokens", multiple=True, metavar="ROLE=ID", help="Give pad, unk, cls, sep or mask this id."
)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--resume", is_flag=True, help="Continue from the newest checkpoint of an interrupted call.")
@json_option
def pretrain(
    corpora: Sequence[str],
    language: str,
    out: Path,
    special_tokens: Sequence[str],
    resume: bool,
    as_json: bool,
    **settings: Any,
) -> None:
    """Train a small teacher from article shards: a masked LM on gold labels, with a new vocabulary or a given tokenizer.

    If a given tokenizer has no pad, unk, cls, sep or mask token, it gets one after its last id. All other ids stay the same.

    \b
    Example:  mergedistill pretrain 'corpora/de/*.parquet' --language de --out teachers/de
              mergedistill pretrain 'corpora/de/*.parquet' --language de --out teachers/de --family unigram --vocab-size 4000
              mergedistill pretrain 'corpora/de/*.parquet' --language de --out teachers/de --tokenizer published/spiece.model
              mergedistill pretrain 'corpora/de/*.parquet' --language de --out teachers/de --special-token mask=0
    """
    from student.pretrain import PretrainSettings, parse_special_tokens
    from student.pretrain import pretrain as pretrain_teacher

    ids = parse_special_tokens(special_tokens)
    result = pretrain_teacher(corpora, language, out, PretrainSettings(special_token_ids=ids, **settings), resume=resume)
    _print(result.table(), as_json)


@main.command()
@click.argument("model", metavar="MODEL")
@click.option("--corpus", "corpora", type=LANGUAGE, multiple=True, required=True, help="Article shards of a language to keep.")
@click.option("--out", required=True, type=LOCAL_FOLDER, metavar="FOLDER", help="The folder of the trimmed model: a new one.")
@click.option(
    "--min-probability",
    type=Number(0, 1, min_open=True),
    default=1e-6,
    show_default=True,
    help="Keep the pieces with this share of the tokens of one language.",
)
@click.option(
    "--min-coverage",
    type=SHARE,
    default=0.9995,
    show_default=True,
    help="Keep rarer pieces, too, until those kept are this share of each language's tokens. 0: none, as in the paper.",
)
@click.option("--articles", type=click.IntRange(min=0), default=0, help="Of each language, spread evenly; 0: all.")
@json_option
def trim(model: str, corpora: Sequence[tuple[str, str]], out: Path, as_json: bool, **options: Any) -> None:
    """Trim the vocabulary of a multilingual masked LM to some languages, for BiStil. The encoder is not changed.

    MODEL is a folder or a Hub id. Special tokens stay, and so do the characters of the text, so that no word becomes unknown. FILES may be
    a pattern; the same LANG again adds files.

    \b
    Example:  mergedistill trim google-bert/bert-base-multilingual-cased --corpus en=corpora/en --corpus tr=corpora/tr --out en-tr
    """
    from student.tasks.request import by_language
    from student.trim import trim as trim_model

    _print(trim_model(model, by_language(corpora), out, **options).table(), as_json)


@main.command(cls=BeamCommand)
@run_options
@click.option("--report", is_flag=True, help="Compare the ways to tokenize, and draw the pictures.")
@json_option
@click.pass_context
def vocab(ctx: click.Context, recipe: str, out: Path, settings: Sequence[str], report: bool, as_json: bool) -> None:
    """Merge the teachers' vocabularies: the union, the teachers' maps, the student's tokenizer.

    With --report, after predict: counts the pieces that training shows, writes a tokenizer that is restricted to them, and measures
    how often three tokenizers agree: the union's, the restricted one, and each language's own teacher's (routed).

    \b
    Example:  mergedistill vocab recipe.toml --out runs/mine
              mergedistill vocab recipe.toml --out runs/mine --report
    """
    from pipeline.vocabulary import make_vocabulary
    from pipeline.vocabulary_report import report_vocabulary

    run, beam_args = _open(recipe, out, settings), ctx.meta.get("beam", [])
    result = make_vocabulary(run, beam_args=beam_args)
    _print(report_vocabulary(run, beam_args=beam_args).table(run.vocabulary) if report else result.table(), as_json)


@main.command()
@recipe_argument
@click.option("--out", type=RUN_FOLDER, metavar="RUN", help="The folder of the run: units that it has already are not counted.")
@set_option
@click.option(
    "--rate", type=RATE, show_default="measured here", metavar="TFLOPS", help="Of one process on the machine that will do the work."
)
@json_option
def estimate(recipe: str, out: Path | None, settings: Sequence[str], rate: float | None, as_json: bool) -> None:
    """Say what predict has to do and what it will cost, before it runs.

    Reads the footers of the article shards and a few hundred articles of each corpus, and runs each teacher for some seconds. Units
    and articles are exact; ± is half of a 95% interval. Hours are those of one process, without loading the teacher and writing shards.

    \b
    Example:  mergedistill estimate recipe.toml
              mergedistill estimate recipe.toml --out runs/mine --rate 150
    """
    from data.recipe_file import load_recipe
    from pipeline.estimate import estimate as estimate_units

    found = estimate_units(load_recipe(recipe, settings), folder=out, rate=None if rate is None else rate * 1e12)
    _print(found.table(), as_json)


@main.command(cls=BeamCommand)
@run_options
@click.option("--teacher", "teachers", multiple=True, metavar="NAME", help="Only this teacher (may be given more than once).")
@click.option("--dry-run", is_flag=True, help="Only say which units would be computed. No teacher is loaded.")
@json_option
def predict(recipe: str, out: Path, settings: Sequence[str], teachers: Sequence[str], dry_run: bool, as_json: bool) -> None:
    """Stage 1: run the teachers, write their top-k logits. After a failure, run it again: it computes what is missing.

    \b
    Example:  mergedistill predict recipe.toml --out runs/mine
              mergedistill predict recipe.toml --out runs/mine --dry-run
              mergedistill predict recipe.toml --out runs/mine -- --direct_num_workers=2 --direct_running_mode=multi_processing
    """
    from pipeline.dry_run import dry_run as planned
    from pipeline.dry_run import work_table

    run = _open(recipe, out, settings)
    if dry_run:
        return _print(work_table(run, planned(run, teachers)), as_json)
    from pipeline.predict import predict as predict_units

    beam_args = click.get_current_context().meta.get("beam", [])
    _print(predict_units(run, teachers=teachers, beam_args=beam_args).table(), as_json)


@main.command()
@click.argument("predictions", type=click.Path(), metavar="PREDICTIONS")
@click.option("--vocab", type=click.Path(path_type=Path), show_default="the run's", metavar="FOLDER", help="The union vocabulary.")
@json_option
@click.option("--sample", type=click.IntRange(min=1), metavar="N", help="A quick look: every footer, but only N row groups.")
@click.pass_context
def validate(ctx: click.Context, predictions: str, vocab: Path | None, as_json: bool, sample: int | None) -> None:
    """Check every rule of the shard contract on every row. Exit code 0: sound; 1: faults; 2: cannot be read.

    --sample N reads N row groups, spread over the files, and every footer. The report says so.

    \b
    Example:  mergedistill validate runs/mine/predictions
              mergedistill validate runs/mine/predictions --json > report.json
              mergedistill validate s3://bucket/mine/predictions --sample 100
    """
    from data.validation.folder_rules import union_facts
    from data.validation.validate import render
    from data.validation.validate import validate as validate_shards

    facts = union_facts(vocab or Path(predictions).parent / "vocab")
    report = validate_shards(predictions, vocabulary=facts, sample=sample, show_progress=True)
    text = json.dumps(report.to_json(), indent=2, ensure_ascii=False) if as_json else render(report)
    click.echo(text, err=report.error is not None and not as_json)
    ctx.exit(report.exit_code)


@main.command()
@run_options
@click.option("--rows", type=click.IntRange(min=1), default=100, show_default=True, help="How many rows are computed again.")
@click.option("--tolerance", type=Number(min=0), help="Largest logit difference that is rounding. Default: 0.05; bfloat16: 0.5.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the random choice of rows.")
@json_option
@click.pass_context
def audit(ctx: click.Context, /, recipe: str, out: Path, settings: Sequence[str], as_json: bool, **options: Any) -> None:
    """Compute rows of the cache again with the teachers, and compare. Exit code 0: sound; 1: faults.

    The rows are drawn at random from all shards. Inputs, masks and gold ids must be the same; logits may differ by rounding. |Δ| is the
    difference of logits of ids in both top k. The gap is the logit of an id in only one top k, above the last id of the other.

    \b
    Example:  mergedistill audit recipe.toml --out runs/mine
              mergedistill audit recipe.toml --out runs/mine --rows 1000 --seed 1
    """
    from pipeline.audit import audit as audit_rows

    result = audit_rows(_open(recipe, out, settings), **options)
    _print(result.table(), as_json)
    ctx.exit(0 if result.sound else 1)


@main.command()
@run_options
@click.option("--student", "name", default="student", show_default=True, help="The student's folder below RUN.")
@click.option("--resume", is_flag=True, help="Continue from the newest checkpoint.")
@json_option
def train(recipe: str, out: Path, settings: Sequence[str], name: str, resume: bool, as_json: bool) -> None:
    """Stage 2: train the student on the cached predictions; then score it on the held-out articles.

    The table also shows the other students of the run that were scored on the same articles.

    \b
    Example:  mergedistill train recipe.toml --out runs/mine
              mergedistill train recipe.toml --out runs/mine --student gold --set train.labels=gold
    """
    from student.train_student import student_table, train_student

    run = _open(recipe, out, settings)
    _print(student_table(run, train_student(run, name, resume=resume)), as_json)


@main.group(cls=Group)
def evaluate() -> None:
    """Judge students and teachers: fine-tuned on the paper's tasks (ner, udpos, xnli, pawsx, qa), as language models (lm), by cost (speed).

    The settings of fine-tuning are those of XTREME, meant for models of 100 million parameters and more. Small ones need a higher
    learning rate. All examples of a batch share one update; seeds and languages are trained one after the other.

    \b
    task          rate   epochs  length  warm-up  decay  weights that are kept
    ner           2e-05  10      128     0        0      best on dev, every 1,000 steps
    udpos         2e-05  10      128     0        0      best on dev, every 500 steps
    xnli          2e-05  5       128     0        0      best on dev, every 100 steps
    pawsx         2e-05  5       128     0        0      best on dev, every 200 steps
    qa            3e-05  3       384     500      0.0001 last

    \b
    Example:  mergedistill evaluate udpos --model runs/mine/student --teacher de=teachers/de --train de=gsd-train.conllu
                --dev de=gsd-dev.conllu --test de=gsd-test.conllu --tokens routed --seeds 3 --out runs/mine/evaluation
    """


# The help of each task, and the files of its example.
_IN_GERMAN = "--train de=train{0} --dev de=dev{0} --test de=test{0}"
_FROM_ENGLISH = "--protocol zero-shot --train en=train-en{0} --test de=test-de{0}"
_TASKS = {
    "ner": ("Named entities: F1 as seqeval has it. PAN-X (.tsv), WikiANN (.conllu), CoNLL columns.", _IN_GERMAN.format(".tsv")),
    "udpos": ("Parts of speech: accuracy, and XTREME's F1. CoNLL-U treebanks.", _IN_GERMAN.format(".conllu")),
    "xnli": (
        "Inference of two sentences: accuracy. XNLI and MultiNLI, as TSV.",
        _FROM_ENGLISH.format(".tsv") + " --dev en=dev-en.tsv",
    ),
    "pawsx": ("Paraphrases: accuracy. PAWS-X, as TSV.", _IN_GERMAN.format(".tsv")),
    "qa": ("Questions on a text: F1 and exact match. SQuAD's JSON: XQuAD, MLQA, TyDiQA.", _FROM_ENGLISH.format(".json")),
}
_label_files = click.option("--label-file", type=LANGUAGE, multiple=True, help="Labels of a test set, a line each.")
_OF_TASK: dict[str, list[Any]] = {
    "udpos": [
        click.option(
            "--words", type=click.Choice(["fused", "syntactic"]), default="fused", help="Ranges: one word (XTREME), or parts."
        )
    ],
    "xnli": [_label_files],
    "pawsx": [_label_files],
    "qa": [
        click.option(
            "--scorer", type=click.Choice(["squad", "mlqa"]), default="squad", help="squad: as XTREME scores XQuAD, TyDiQA."
        ),
        click.option("--stride", type=POSITIVE, show_default="128", help="Pieces between two windows of a context."),
        click.option("--question-length", type=POSITIVE, show_default="64", help="Pieces of a question."),
        click.option("--answer-length", type=POSITIVE, show_default="30", help="Pieces; an answer of 60 characters may have more."),
    ],
}
_TUNING = [
    click.option("--learning-rate", type=RATE),
    click.option("--epochs", type=RATE),
    click.option("--batch-size", type=POSITIVE, show_default="32", help="Examples of an update."),
    click.option("--micro-batch", type=POSITIVE, show_default="all", help="Examples of one forward pass."),
    click.option("--max-length", type=click.IntRange(min=8), help="Tokens of an example."),
    click.option("--warmup-steps", type=click.IntRange(min=0)),
    click.option("--weight-decay", type=Number(min=0)),
    click.option("--keep", type=click.Choice(["best", "last"]), help="Weights: best on dev, or of the last step."),
    click.option("--eval-steps", type=POSITIVE, help="Steps between two looks at dev."),
]
_SPARSE = [
    click.option("--sparse", type=SHARE, metavar="SHARE", help="LT-SFT: change only this share of the encoder, as 0.08."),
    click.option("--full-epochs", type=RATE, show_default="ner, udpos 3; xnli, pawsx 5; qa 2", help="Of its first phase."),
    click.option("--train-norms", is_flag=True, help="Also normalisations, which --sparse leaves as they are."),
    click.option("--language-sparse", type=Pair("LANG=FILE"), multiple=True, help="A language's sparse fine-tuning of the model."),
    click.option("--distil-from", metavar="MODEL", help="A model tuned on this task, instead of gold labels; with --sparse."),
]


def _task_command(name: str) -> None:
    """Add `evaluate NAME`."""

    def command(as_json: bool, **options: Any) -> None:
        from student.evaluate_tasks import evaluate
        from student.tasks.request import request_of
        from student.tasks.tables import score_table

        _print(score_table(evaluate(request_of(name, options))), as_json)

    text, files = _TASKS[name]
    command.__doc__ = f"""{text}

    FILES may be a pattern, plain or gzipped; the same LANG again adds files. A call that was interrupted continues where it stopped, by
    model, language and seed. Results: OUT/{name}.json. The settings are XTREME's: see `mergedistill evaluate --help`.

    \b
    Example:  mergedistill evaluate {name} --model runs/mine/student --out scores
                {files}
    """
    options = [
        *model_options,
        click.option("--train", type=LANGUAGE, multiple=True, required=True, help="Files to train on."),
        click.option("--dev", type=LANGUAGE, multiple=True, help="Files to choose the best weights by."),
        click.option("--test", type=LANGUAGE, multiple=True, required=True, help="Files to score."),
        *_OF_TASK.get(name, []),
        click.option("--protocol", type=click.Choice(["in-language", "zero-shot"]), default="in-language", show_default=True),
        click.option("--seeds", type=POSITIVE, default=1, show_default=True, help="Fine-tunings of each model."),
        *_TUNING,
        *_SPARSE,
        precision_option,
        click.option("--out", type=RUN_FOLDER, required=True, metavar="OUT", help="The folder of the results."),
        json_option,
    ]
    evaluate.command(name)(_with(options)(command))


for _name in _TASKS:
    _task_command(_name)


@evaluate.command("lm")
@_with(model_options)
@click.option("--text", "texts", type=LANGUAGE, multiple=True, required=True, help="Article shards that no model has seen.")
@click.option("--texts", "count", type=POSITIVE, default=100, show_default=True, help="Articles of each language.")
@click.option("--characters", type=POSITIVE, default=400, show_default=True, help="Of each article, from its beginning.")
@click.option("--max-length", type=click.IntRange(min=8), default=128, show_default=True, help="Tokens of a window.")
@precision_option
@json_option
def evaluate_lm(texts: Sequence[tuple[str, str]], route: Sequence[tuple[str, str]], as_json: bool, **options: Any) -> None:
    """Held-out loss per UTF-8 byte, and pseudo-perplexity per character: models with different tokenizers compare.

    \b
    Example:  mergedistill evaluate lm --model runs/mine/student --teacher de=teachers/de --text 'de=corpora/de/heldout/*.parquet'
    """
    from student.evaluate_language import evaluate_language
    from student.tasks.request import by_language

    _print(evaluate_language(texts=by_language(texts), route=dict(route), **options), as_json)


@evaluate.command("speed")
@_with(model_options)
@click.option("--text", "texts", type=LANGUAGE, multiple=True, required=True, help="Article shards.")
@click.option("--texts", "count", type=POSITIVE, default=100, show_default=True, help="Articles of each language.")
@click.option("--characters", type=POSITIVE, default=400, show_default=True, help="Of each article, from its beginning.")
@click.option("--max-length", type=click.IntRange(min=8), default=128, show_default=True, help="Tokens of a text.")
@click.option("--batch-size", type=POSITIVE, default=8, show_default=True, help="Texts of a forward pass.")
@click.option("--threads", type=POSITIVE, default=1, show_default=True, help="Of a CPU.")
@click.option("--rounds", type=POSITIVE, default=5, show_default=True, help="Passes of each model over the texts.")
@json_option
def evaluate_speed_command(
    texts: Sequence[tuple[str, str]], route: Sequence[tuple[str, str]], as_json: bool, **options: Any
) -> None:
    """What models cost on the same texts: parameters, FLOPs, seconds. The others are compared with the first model.

    \b
    Example:  mergedistill evaluate speed --model teachers/mul --model runs/en-tr/student --text 'tr=corpora/tr/heldout/*.parquet'
    """
    from student.evaluate_speed import evaluate_speed
    from student.tasks.request import by_language

    _print(evaluate_speed(texts=by_language(texts), route=dict(route), **options), as_json)


@evaluate.command("compare")
@click.argument("first", type=PATH, metavar="A.json")
@click.argument("second", type=PATH, metavar="B.json")
@json_option
def evaluate_compare(first: Path, second: Path, as_json: bool) -> None:
    """Put the results of two evaluations side by side.

    \b
    Example:  mergedistill evaluate compare scores/union/udpos.json scores/routed/udpos.json
    """
    from student.tasks.tables import compare

    _print(compare(first, second), as_json)


@main.group(cls=Group)
def sparse() -> None:
    """Files of sparse fine-tunings (LT-SFT, as BiStil uses them): info, apply, merge, diff.

    Such a file holds the few weights that a fine-tuning for a language or a task changed, as differences from a base model, and the
    task's head. Those of one base can be added: base + language + task. A file is refused by every other base.

    \b
    Example:  mergedistill sparse apply models/base de.safetensors udpos.safetensors --out models/udpos-de
    """


_sparse_files = click.argument("files", nargs=-1, required=True, type=PATH, metavar="FILE...")


@sparse.command("info")
@_sparse_files
@json_option
def sparse_info(files: Sequence[Path], as_json: bool) -> None:
    """Show what files hold: kind, language, task, entries, base, and the parameters with most entries.

    entries: the differences in the file. k: the entries that training could change. density: k as a share of the base's parameters.

    \b
    Example:  mergedistill sparse info de.safetensors udpos.safetensors
    """
    from student.sparse import info

    _print(info(files), as_json)


@sparse.command("language")
@click.argument("model", metavar="MODEL")
@click.option("--language", required=True, help="Language code of the text, as de.")
@click.option("--corpus", "corpora", multiple=True, required=True, metavar="FILES", help="Article shards (may be given again).")
@click.option("--out", type=PATH, required=True, metavar="FILE", help="The new file, as de.safetensors.")
@click.option("--share", type=SHARE, default=0.0433, show_default=True, help="Of the encoder's parameters that may change.")
@click.option("--steps", type=POSITIVE, default=100_000, show_default=True, help="Of each of the two phases.")
@click.option("--batch-size", type=POSITIVE, default=8, show_default=True, help="Windows of a step.")
@click.option("--max-length", type=click.IntRange(min=8), default=256, show_default=True, help="Tokens of a window.")
@click.option("--learning-rate", type=RATE, default=5e-5, show_default=True)
@click.option("--l1", type=Number(min=0), default=0.1, show_default=True, help="Weight of the mean size of the differences.")
@click.option("--seed", type=click.IntRange(min=0), default=42, show_default=True)
@precision_option
@json_option
def sparse_language(model: str, language: str, corpora: Sequence[str], out: Path, as_json: bool, **settings: Any) -> None:
    """Train a language's sparse fine-tuning of a masked LM on text. Interrupted, the same command continues.

    \b
    Example:  mergedistill sparse language models/mbert --language tr --corpus 'corpora/tr/*.parquet' --out tr.safetensors
    """
    from student.sparse_language import LanguageSettings, tune

    _print(tune(model, language, corpora, out, LanguageSettings(**settings)), as_json)


@sparse.command("apply")
@click.argument("model", metavar="MODEL")
@_sparse_files
@click.option("--out", type=LOCAL_FOLDER, required=True, metavar="DIR", help="The folder of the new model.")
@json_option
def sparse_apply(model: str, files: Sequence[Path], out: Path, as_json: bool) -> None:
    """Add files to their base model, and write an ordinary model folder of transformers, with the tokenizer.

    MODEL is a folder or a Hub id, and the base of every FILE. With a file of a task (at most one), the new model has its head and
    labels. Else it is a masked LM, whose output keeps the base's embeddings, as in training.

    \b
    Example:  mergedistill sparse apply models/base de.safetensors --out models/base-de
              mergedistill sparse apply models/base de.safetensors udpos.safetensors --out models/udpos-de
    """
    from student.sparse import apply

    _print(apply(model, files, out), as_json)


@sparse.command("merge")
@_sparse_files
@click.option("--out", type=PATH, required=True, metavar="FILE", help="The new file.")
@json_option
def sparse_merge(files: Sequence[Path], out: Path, as_json: bool) -> None:
    """Add up files of one base: one file with the sum of their differences, and the head of the one task among them.

    \b
    Example:  mergedistill sparse merge de.safetensors udpos.safetensors --out udpos-de.safetensors
    """
    from student.sparse import merge

    _print(merge(files, out), as_json)


@sparse.command("diff")
@click.argument("first", type=PATH, metavar="A")
@click.argument("second", type=PATH, metavar="B")
@json_option
def sparse_diff(first: Path, second: Path, as_json: bool) -> None:
    """Compare two files of one base: how many entries are in both, and how far their differences agree, by part of the model.

    \b
    Example:  mergedistill sparse diff de.safetensors tr.safetensors
    """
    from student.sparse import diff

    _print(diff(first, second), as_json)


@main.command()
@click.argument("runs", nargs=-1, required=True, type=RUN_FOLDER, metavar="RUN...")
@click.option("--out", type=PATH, metavar="FILE", show_default="report.html in the first RUN", help="Where the page goes.")
@click.option("--studies", type=LOCAL_FOLDER, metavar="FOLDER", help="Also show these studies: FOLDER/NAME/result.json.")
@json_option
def report(runs: Sequence[Path], as_json: bool, **options: Any) -> None:
    """Write one HTML page with the tables and plots of a run, or of several side by side.

    A run is the folder of vocab, predict and train, or that of distil. The page is one file: it needs no network, no other file and no
    program. What a run does not have yet is named there, with the command that makes it.

    \b
    Example:  mergedistill report runs/mine
              mergedistill report runs/mine runs/other --out compared.html
    """
    from student.report import report as write_report

    _print(write_report(runs, **options), as_json)


@main.command(cls=BeamCommand)
@run_options
@click.pass_context
def run(ctx: click.Context, recipe: str, out: Path, settings: Sequence[str]) -> None:
    """Run vocab, predict, validate, train and report in turn. After a failure, run it again: it continues where it stopped.

    \b
    Example:  mergedistill run recipe.toml --out runs/mine
    """
    common = [recipe, "--out", str(out), *(part for setting in settings for part in ("--set", setting))]
    beam = ["--", *ctx.meta["beam"]] if "beam" in ctx.meta else []
    predictions = _open(recipe, out, settings).predictions
    _call("vocab", *common, *beam)
    _call("predict", *common, *beam)
    if _call("validate", predictions, "--vocab", str(out / "vocab")):
        raise click.ClickException(f"{predictions} is not sound; nothing was trained")
    _call("vocab", *common, "--report", *beam)
    _call("train", *common, *(["--resume"] if (out / "student").exists() else []))
    _call("report", str(out))


@main.command()
@run_options
@click.option("--resume", is_flag=True, help="Continue from the newest checkpoint.")
@json_option
def distil(recipe: str, out: Path, settings: Sequence[str], resume: bool, as_json: bool) -> None:
    """BiStil, phase 1: a small model for a few languages from one multilingual model.

    Trims the teacher to the pieces of the languages, begins the student with every second of its layers (student.reduction), and trains
    it to give the teacher's hidden states and attention maps. RUN/student is a masked LM, the best one on the validation windows.
    Phase 2 is `mergedistill evaluate TASK --model RUN/student --sparse 0.08 --distil-from TUNED`.

    \b
    Example:  mergedistill distil bistil.toml --out runs/en-tr
              mergedistill distil bistil.toml --out runs/en-tr --resume
    """
    from data.recipe_file import load_bilingual_recipe
    from student.distil import distil as distil_student

    _print(distil_student(load_bilingual_recipe(recipe, settings), out, resume=resume).table(), as_json)


_STUDIES = ["teachers", "students", "convergence", "tail", "vocabulary", "resource-lean", "initialisation", "schedule", "bilingual"]


@main.command()
@click.argument("name", type=click.Choice(_STUDIES), metavar="NAME")
@click.option(
    "--text", type=PATH, required=True, metavar="FOLDER", help="FOLDER/LANG/*: text of ar, de, en and zh, as prepare reads."
)
@click.option("--tasks", type=PATH, metavar="FOLDER", help="Treebanks in FOLDER/ud, entities in FOLDER/ner; not for all studies.")
@click.option("--work", type=LOCAL_FOLDER, required=True, metavar="FOLDER", help="For corpora, teachers and runs of all studies.")
@click.option("--out", type=LOCAL_FOLDER, default=Path("data/studies"), show_default=True, help="For the results, in OUT/NAME.")
@click.option(
    "--only", multiple=True, metavar="TEXT", help="Only cells with a word in their name that begins so (may be given again)."
)
@click.option("--jobs", type=POSITIVE, show_default="one a core, at most 4; a GPU: 1", help="Steps that run at once.")
@click.option(
    "--scale",
    type=Number(0, 1000, min_open=True),
    default=1.0,
    show_default=True,
    help="Multiplies steps, and the width of models by its root.",
)
@json_option
def study(
    name: str,
    text: Path,
    tasks: Path | None,
    work: Path,
    out: Path,
    only: Sequence[str],
    jobs: int | None,
    scale: float,
    as_json: bool,
) -> None:
    """Test one of the paper's claims at a small scale.

    NAME is teachers, students, convergence, tail, vocabulary, resource-lean, initialisation, schedule or bilingual.

    A study has cells: one model, or its scores. Each leaves a small JSON file in OUT/NAME/cells and is never computed again, so that a
    study continues where it was stopped. OUT/NAME/README.md has the question, the tables, a plot, and what follows.

    \b
    Example:  mergedistill study students --text wiki/text --tasks tasks --work studies
              mergedistill study students --text wiki/text --tasks tasks --work studies --only similar-small --only "teacher en"
    """
    from student.studies.plan import Plan
    from student.study import study as run_study

    plan = Plan(text=text.resolve(), tasks=tasks and tasks.resolve(), scale=scale)
    _print(run_study(name, plan, work.resolve(), out, only=only, jobs=jobs).table(), as_json)


@main.command("recipe")
@click.option("--schema", is_flag=True, help="Print the JSON Schema of recipes, for editors and CI.")
@click.option("--bilingual", is_flag=True, help="The schema of recipes of `distil`.")
@set_option
@click.argument("path", required=False, type=click.Path(), metavar="[RECIPE]")
def recipe_command(schema: bool, bilingual: bool, settings: Sequence[str], path: str | None) -> None:
    """Check a recipe and print it with every default filled in; or print the JSON Schema of recipes.

    A recipe with one [teacher] is that of `distil`; its schema is `--schema --bilingual`.

    \b
    Example:  mergedistill recipe recipe.toml
              mergedistill recipe --schema > recipe.schema.json
    """
    from data.bilingual_recipe import BilingualRecipe
    from data.recipe import Recipe
    from data.recipe_file import load_any_recipe

    if schema:
        click.echo(json.dumps((BilingualRecipe if bilingual else Recipe).model_json_schema(), indent=2))
    elif path:
        click.echo(load_any_recipe(path, settings).model_dump_json(indent=2))
    else:
        raise click.UsageError("give a RECIPE, or --schema")


def _open(recipe: str, out: Path, settings: Sequence[str]) -> "Run":
    from data.recipe_file import load_recipe
    from data.run import Run

    return Run(recipe=load_recipe(recipe, settings), folder=out)


def _call(*command: str) -> Any:
    """Run a command of this program as a user would, after printing it; the exit code."""
    click.secho(f"\n$ mergedistill {shlex.join(command)}", bold=True, err=True)
    return main.main([*command], standalone_mode=False)


def _print(table: "Table", as_json: bool) -> None:
    click.echo(table.json() if as_json else table.text())


if __name__ == "__main__":
    sys.exit(main())
