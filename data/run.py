"""A run: a recipe and the folder that its results go to. Every stage takes this one object."""

from dataclasses import dataclass
from pathlib import Path

from data.contract import HELDOUT, PREDICTIONS
from data.recipe import Recipe
from data.storage import join


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """A recipe and a run's folder, and the names of what lies in it.

    folder  local, or mounted under the same path on every machine that works on the run
    """

    recipe: Recipe
    folder: Path

    @property
    def vocabulary(self) -> Path:
        """The folder of the union vocabulary, the teachers' maps, and the student's tokenizer."""
        return self.folder / "vocab"

    @property
    def predictions(self) -> str:
        """The location of the shards that the student trains on."""
        return self.shards(PREDICTIONS)

    @property
    def heldout(self) -> str:
        """The location of the shards that the student is measured on."""
        return self.shards(HELDOUT)

    def shards(self, split: str) -> str:
        """The location of the shards of one split: in predict.store if the recipe names one, else in the run's folder."""
        store = self.recipe.predict.store
        return join(str(self.folder) if store is None else self.recipe.locate(store), split)

    def pairs(self, split: str) -> list[tuple[str, str]]:
        """The (teacher, language) pairs whose shards this recipe makes and reads in one split. A shared store can hold more."""
        languages = self.recipe.corpora if split == PREDICTIONS else self.recipe.heldout
        return [
            (teacher.name, language) for teacher in self.recipe.teachers for language in teacher.languages if language in languages
        ]

    def student(self, name: str = "student") -> Path:
        """The folder of one of the run's students."""
        return self.folder / name
