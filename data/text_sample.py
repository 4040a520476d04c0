"""A sample of a recipe's text, on which tokenizers are compared."""

from collections.abc import Iterator

from data.articles import open_article_shard, read_articles
from data.recipe import Recipe
from data.storage import require_files


def sample_texts(recipe: Recipe, language: str, characters: int) -> Iterator[str]:
    """Articles of a language (held-out ones if there are any), equally from each file and row group, about `characters` in total."""
    pattern = recipe.heldout.get(language, recipe.corpora[language])
    files = require_files(recipe.locate_files(pattern), f"corpus of '{language}'")
    groups = [(file, group) for file in files for group in range(open_article_shard(file).metadata.num_row_groups)]
    for file, group in groups:
        left = max(1, characters // len(groups))
        for _, text in read_articles(file, range(group, group + 1)):
            yield text[:left]
            left -= len(text)
            if left <= 0:
                break
