"""The tables of a recipe, each immutable and without unknown keys. `data.recipe` puts them together."""

import glob
import re
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    StringConstraints,
    field_validator,
    model_validator,
)

from vocab.errors import InputError

# Teacher names and languages become partition keys of paths ("language=de/teacher=gbert"), so they must be plain.
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
_LANGUAGE = re.compile(r"[a-z]{2,12}([_-][A-Za-z0-9]+)*")


def check_language(code: str) -> str:
    """The code of a language or of its Wikipedia, as it is. Raises InputError for another text."""
    if not _LANGUAGE.fullmatch(code):
        raise InputError(
            f"the language '{code}': expected the code of a language or of its Wikipedia in small letters, such as de, zh-min-nan or simple"
        )
    return code


Precision: TypeAlias = Literal["auto", "float32", "tf32", "bfloat16"]
Language = Annotated[str, AfterValidator(check_language)]
Rate = Annotated[float, Field(gt=0, lt=1)]
Positive = Annotated[int, Field(gt=0, le=1_000_000_000)]  # more would be a slip, and a step of so many tokens never ends


class Section(BaseModel):
    """A table of the recipe: immutable, and without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class RecipeFile(Section):
    """A recipe: its relative paths are relative to its folder."""

    _folder: Path = PrivateAttr(default_factory=Path.cwd)

    @property
    def folder(self) -> Path:
        """The folder to which the recipe's relative paths are relative."""
        return self._folder

    def locate(self, path: str) -> str:
        """A path of the recipe as an absolute path. A URI is not changed."""
        return path if "://" in path else str(self._folder / Path(path).expanduser())

    def locate_files(self, pattern: str) -> str:
        """A glob of the recipe as an absolute one. Characters in the recipe's folder are not wildcards."""
        folder = Path(glob.escape(str(self._folder)))
        return pattern if "://" in pattern else str(folder / Path(pattern).expanduser())


class Teacher(Section):
    """A teacher: any masked LM that transformers loads."""

    name: Name
    model: Annotated[str, Field(min_length=1)]  # a local folder (relative to the recipe) or a Hub id
    revision: str = "main"  # of a Hub id
    # Another tokenizer than the model's: a folder, tokenizer.json, vocab.txt, SentencePiece .model, or Hub id.
    tokenizer: Annotated[str, Field(min_length=1)] | None = None
    languages: list[Language]  # that it labels; []: it labels nothing, only its pieces join the union, and no weights are read


class Vocabulary(Section):
    """The choice of the teachers' pieces for the student's vocabulary."""

    method: Literal["union", "trimmed", "budget"] = (
        "union"  # all pieces; all but rare ones; those with most of the corpora's tokens
    )
    size: Positive | None = None  # number of pieces, special tokens included; only for "budget"
    min_probability: Annotated[float, Field(gt=0, lt=1)] = (
        1e-6  # "trimmed" drops pieces that are rarer in every corpus of their teacher
    )
    articles: Annotated[int, Field(ge=0)] = 0  # number of articles of each corpus that are counted, spread evenly; 0: all
    min_count: Positive = 1  # the restricted tokenizer keeps pieces that training showed at least this often

    @model_validator(mode="after")
    def _size_belongs_to_budget(self) -> "Vocabulary":
        if self.method == "budget" and self.size is None:
            raise ValueError('method "budget" needs a size: give the number of pieces, special tokens included')
        if self.method != "budget" and self.size is not None:
            raise ValueError(f'size {self.size} has no meaning with method "{self.method}": remove it, or choose method = "budget"')
        return self

    def choice(self) -> dict[str, str | float]:
        """The settings that choose the union's pieces. They are kept with the union."""
        names = ["method", *(["min_probability"] if self.method == "trimmed" else []), *(["size"] if self.size is not None else [])]
        return {name: getattr(self, name) for name in names}


class Examples(Section):
    """How articles become masked examples (windows). Part of every shard's identity, with the seed."""

    max_length: Annotated[int, Field(ge=8, le=65535)] = 128  # tokens, special tokens included
    mask_rate: Rate = 0.15  # share of a window's tokens that are masked positions
    masking: Literal["token", "whole-word"] = "token"
    # Differently masked copies of each window; or the mask rate of each copy, as [0.3, 0.15, 0.05], and then mask_rate is not used.
    maskings: Annotated[int, Field(ge=1, le=1000)] | Annotated[list[Rate], Field(min_length=1, max_length=1000)] = 1

    @property
    def rates(self) -> list[float]:
        """The mask rate of each copy of a window."""
        return [self.mask_rate] * self.maskings if isinstance(self.maskings, int) else self.maskings

    @property
    def copies(self) -> int:
        """Differently masked copies of each window."""
        return len(self.rates)


class Predict(Section):
    """Stage 1."""

    top_k: Annotated[int, Field(ge=1, le=1024)] = 8  # teacher logits that are kept for each masked position
    # "sampled": instead of the top k, ids drawn with replacement from the teacher's distribution, with their counts. An unbiased target
    # (Sparse Logit Sampling, ACL 2025). Held-out articles always get the top k, which the scores need.
    selection: Literal["top-k", "sampled"] = "top-k"
    draws: Annotated[int, Field(ge=1, le=1024)] = 50  # for each masked position, with selection = "sampled"
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"  # of the teacher; auto: bfloat16 where the hardware has it
    unit_articles: Positive = 1000  # articles in a unit of work, rounded up to complete row groups
    tokens_per_batch: Positive | Literal["auto"] = "auto"  # padding included; auto: 4,096 on a CPU, 65,536 on a GPU
    compile: bool = False  # compile the teacher's layers: some seconds in each worker, then a faster pass on a GPU
    logits: Literal["float16", "8-bit"] = "float16"  # the precision of the stored top-k logits; 8-bit: smaller, in 256 levels
    # Share of a unit's articles (rounded up) on which the tokenizer or the teacher can fail. They are set aside with the reason.
    max_quarantined: Annotated[float, Field(ge=0, le=1)] = 0.01
    store: str | None = None  # folder or URI (s3://…) for the shards; by default the run's folder

    @model_validator(mode="after")
    def _counts_are_exact(self) -> "Predict":
        if self.selection == "sampled" and self.logits == "8-bit":
            raise ValueError('logits "8-bit" would round the counts of selection "sampled": remove one of the two')
        return self

    def drawn(self, *, heldout: bool) -> int:
        """The draws for each masked position; 0 where the top k are selected."""
        return self.draws if self.selection == "sampled" and not heldout else 0

    def width(self, *, heldout: bool) -> int:
        """The ids that are kept for each masked position."""
        return self.drawn(heldout=heldout) or self.top_k

    @field_validator("store")
    @classmethod
    def _names_a_place(cls, store: str | None) -> str | None:
        if store is not None and not store.rpartition("://")[2].strip("/"):
            raise ValueError("it names no bucket or folder: give one, as s3://bucket/folder")
        return store


class Student(Section):
    """The student's shape: any masked LM architecture of transformers."""

    architecture: str = "bert"  # a transformers model_type, as "bert" or "roformer"
    layers: Annotated[int, Field(gt=0, le=1000)] = 12
    hidden_size: Positive = 768
    heads: Positive = 12
    intermediate_size: Positive | None = None  # of the feed-forward block; by default 4 x hidden_size
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1  # of hidden states and attention
    # "random": the paper's; "teachers": rows of the vocabulary from the teachers that have the piece; "teacher:NAME": also NAME's layers.
    initialise: str = "random"

    @field_validator("initialise")
    @classmethod
    def _known_beginning(cls, how: str) -> str:
        if how not in ("random", "teachers") and not how.startswith("teacher:"):
            raise ValueError('expected "random", "teachers", or "teacher:NAME" with the name of a teacher')
        return how

    @model_validator(mode="after")
    def _heads_divide(self) -> "Student":
        if self.hidden_size % self.heads:
            raise ValueError(f"hidden_size {self.hidden_size} is not a multiple of heads {self.heads}")
        return self

    @property
    def teacher_of_layers(self) -> str | None:
        """The teacher whose layers the student takes."""
        return self.initialise.removeprefix("teacher:") if self.initialise.startswith("teacher:") else None


class Train(Section):
    """Stage 2."""

    steps: Positive = 100_000  # optimizer steps
    tokens_per_batch: Positive = 65_536  # of a step, over all devices, padding included
    # Of a forward pass on one device; gradients accumulate over a step. auto: what fills a GPU's memory; 16,384 on a CPU.
    tokens_per_microbatch: Positive | Literal["auto"] = "auto"
    epochs: Annotated[float, Field(gt=0, le=1_000_000)] | None = None  # passes over all rows, instead of `steps`
    learning_rate: Annotated[float, Field(gt=0)] = 1e-4  # the peak, after a linear warm-up
    learning_rate_schedule: Literal["linear", "cosine", "wsd"] = (
        "linear"  # from the peak to 0; wsd: warm-up, stable, decay at the end
    )
    warmup_steps: Annotated[int, Field(ge=0, le=1_000_000_000)] = 5000
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    gradient_clip: Annotated[float, Field(gt=0)] = 1.0  # global norm
    labels: Literal["gold+teacher", "gold"] = "gold+teacher"
    # λ, the weight of the gold label; the teacher's is 1 − λ. linear (the paper): from gold_start to gold_end in all steps; constant:
    # gold_start; wsd: gold_start, then in the last decay_share of the steps to gold_end. A teacher whose weight falls beside a gold label
    # that keeps its own: linear from 0.5.
    gold_schedule: Literal["linear", "constant", "wsd"] = "linear"
    gold_start: Annotated[float, Field(ge=0, le=1)] = 0.0
    gold_end: Annotated[float, Field(ge=0, le=1)] = 1.0
    decay_share: Annotated[float, Field(gt=0, le=1)] = 0.2  # of the steps, for both schedules called wsd
    tail: Literal["renormalise", "ghost", "gold"] = "renormalise"  # the rule for the teacher's mass outside the top k
    # Of several teachers of a language: rows from each, or only from the better one of an article or of the language.
    teacher_choice: Literal["all", "best-article", "best-language"] = "all"
    sampling_alpha: Annotated[float, Field(ge=0, le=1)] = 0.7  # languages are drawn with p ∝ n^alpha
    # Of matrix products. auto: bfloat16 where the hardware has it; tf32: float32 that NVIDIA's cards multiply faster, with 10 bits.
    precision: Precision = "auto"
    compile: bool = False  # compile the student's layers: up to a minute at the start, then faster steps on a GPU
    # Of the student's first weights, its stream and its dropout, where several students share one cache; by default the recipe's seed,
    # which the masks of the cache depend on.
    seed: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    log_steps: Positive = 50  # steps between two rows of metrics.jsonl
    checkpoint_steps: Positive = 1000
    eval_steps: Positive | None = None  # steps between two looks at the held-out articles; the best model is kept in best/
    # Also send the metrics to these trackers of accelerate, which must be installed: tensorboard, wandb, mlflow, …
    trackers: Annotated[list[str], BeforeValidator(lambda names: [names] if isinstance(names, str) else names)] = []
