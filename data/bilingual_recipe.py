"""The recipe of a bilingual student (BiStil, phase 1): a multilingual teacher, the text of a few languages, the student's depth."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from data.recipe_sections import Language, Name, Positive, Precision, Rate, RecipeFile, Section


class MultilingualTeacher(Section):
    """The teacher: any masked LM of transformers that gives its attention maps."""

    model: Annotated[str, Field(min_length=1)]  # a local folder (relative to the recipe) or a Hub id
    revision: str = "main"  # of a Hub id
    # Sparse fine-tunings for single languages (`mergedistill sparse language`): while a batch of the language runs, the teacher has it.
    sparse: dict[Language, str] = Field(default_factory=dict)


class Trimming(Section):
    """Which of the teacher's pieces stay."""

    trim: bool = True  # false: all of them
    min_probability: Annotated[float, Field(gt=0, lt=1)] = 1e-6  # in one of the languages, at least
    # Rarer pieces stay too, the most frequent first, until the kept ones are this share of each language's tokens; 0: as the paper.
    min_coverage: Annotated[float, Field(ge=0, lt=1)] = 0.9995
    articles: Annotated[int, Field(ge=0)] = 0  # articles of each language that are counted; 0: all


class Windows(Section):
    """How text becomes windows, and how they are masked."""

    max_length: Annotated[int, Field(ge=8, le=65535)] = 256  # tokens of every window
    mask_rate: Rate = 0.15
    validation: Annotated[float, Field(gt=0, lt=50)] = 1.0  # percent of each language's articles, the first ones


class ShallowStudent(Section):
    """The student: the teacher's width, and every f-th of its layers."""

    reduction: Annotated[int, Field(ge=1, le=1000, strict=True)] = 2  # f = layers of the teacher / layers of the student
    # Which layers it begins with. regular: of each group of f the last one. bottom: the first ones.
    layers: Literal["regular", "bottom"] = "regular"


class Distillation(Section):
    """The training. The defaults are the paper's."""

    steps: Positive = 200_000
    batch_size: Positive = 8  # windows of a step, of one language
    micro_batch: Positive | None = None  # windows of one forward pass; None: all
    learning_rate: Annotated[float, Field(gt=0)] = 1e-4  # the peak; then linear to 0
    warmup_steps: Annotated[int, Field(ge=0, le=1_000_000_000)] = 0
    gradient_clip: Annotated[float, Field(gt=0)] = 1.0  # global norm
    precision: Precision = "auto"  # of matrix products, as train.precision; the losses are float32
    log_steps: Positive = 50  # steps between two rows of metrics.jsonl
    eval_steps: Positive = 5000  # steps between two looks at the validation windows; the best student is kept
    checkpoint_steps: Positive = 1000

    @model_validator(mode="after")
    def _warm_up_ends(self) -> "Distillation":
        if self.warmup_steps >= self.steps:
            raise ValueError(f"warmup_steps {self.warmup_steps} are not fewer than steps {self.steps}: lower the one")
        return self


class BilingualRecipe(RecipeFile):
    """Everything that a bilingual student depends on. Two languages are the paper's case; one or several work too."""

    name: Name
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 42
    teacher: MultilingualTeacher
    corpora: Annotated[dict[Language, str], Field(min_length=1)]  # language → glob or URI of article shards
    vocabulary: Trimming = Trimming()
    examples: Windows = Windows()
    student: ShallowStudent = ShallowStudent()
    train: Distillation = Distillation()

    @model_validator(mode="after")
    def _consistent(self) -> "BilingualRecipe":
        if unknown := [language for language in self.teacher.sparse if language not in self.corpora]:
            raise ValueError(f"teacher.sparse.{unknown[0]}: no corpus of this language: add it to [corpora], or remove the file")
        return self
