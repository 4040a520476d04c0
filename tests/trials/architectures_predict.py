"""Every masked-LM architecture of transformers through `predict`: is each stored position that of the plain forward pass of its window?

python -m tests.trials.architectures_predict        prints a row for each architecture; exit code 1 if a position differs
"""

import sys
import tempfile
from collections import Counter
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path

import numpy as np
import torch

from data.recipe import Recipe
from data.recipe_file import parse_recipe
from data.shards import list_shards, open_shard
from pipeline.teacher.model import load_masked_lm
from tests.support.architectures import architectures, save_masked_lm
from tests.support.factories import SPECIAL, TEXTS, article_shard, articles, save_tokenizer, word_pieces
from tests.support.runs import launch
from vocab.errors import InputError
from vocab.folder import load_map

LONGEST, TOP_K = 24, 4


def recipe_of(folder: Path, kind: str) -> Recipe:
    """One teacher of this architecture, with random weights, and forty articles."""
    pieces = [*SPECIAL, *word_pieces(TEXTS["en"])]
    article_shard(folder / "corpora/en.parquet", articles("en", 40), rows_per_group=10)
    save_masked_lm(kind, folder / "teacher", len(pieces), LONGEST)
    save_tokenizer(folder / "teacher", pieces)
    content = {
        "name": kind,
        "teachers": [{"name": kind.replace("_", "-"), "model": "teacher", "languages": ["en"]}],
        "corpora": {"en": "corpora/en.parquet"},
        "examples": {"max_length": LONGEST},
        "predict": {"top_k": TOP_K, "dtype": "float32", "unit_articles": 10, "tokens_per_batch": 256},
    }
    return parse_recipe(content, folder=folder)


def compare(folder: Path, teacher: str) -> tuple[int, int, float]:
    """(positions, those that differ by more than float16's rounding, the largest difference in nats) of a finished run."""
    to_union = load_map(folder / "run/vocab", teacher)
    of_union = {int(union): own for own, union in enumerate(to_union.union_ids) if to_union.real[own] or own < len(SPECIAL)}
    positions = wrong = 0
    largest = 0.0
    for location in list_shards(str(folder / "run/predictions")):
        for row in open_shard(location).read().to_pylist():
            ids_T = torch.tensor([[of_union[token] for token in row["input_ids"]]])
            model = load_masked_lm(folder / "teacher", teacher)  # anew: in no state that another window left
            with torch.no_grad():
                logits_TV = model(input_ids=ids_T, attention_mask=torch.ones_like(ids_T)).logits[0]
            logits_TV[:, torch.from_numpy(~to_union.predictable)] = -torch.inf
            exact_MV = logits_TV[row["mask_positions"]].log_softmax(-1).numpy()
            for place, gold in enumerate(row["label_ids"]):
                found = [row["label_logits"][place], *row["topk_logits"][place * TOP_K : (place + 1) * TOP_K]]
                wanted = [
                    exact_MV[place, of_union[token]] for token in (gold, *row["topk_ids"][place * TOP_K : (place + 1) * TOP_K])
                ]
                off = np.abs(np.array(found) - np.array(wanted))
                positions += 1
                wrong += bool(np.any(off > np.abs(wanted) / 1024 + 1e-3))
                largest = max(largest, float(off.max()))
    return positions, wrong, largest


def main() -> None:
    outcomes: Counter[str] = Counter()
    print(f"{'architecture':<24} {'outcome':<24} {'positions':>9} {'wrong':>6} {'largest difference':>19}")
    for kind in architectures():
        with tempfile.TemporaryDirectory() as place:
            folder, said = Path(place), StringIO()
            recipe = recipe_of(folder, kind)
            try:
                with redirect_stderr(said):
                    launch(recipe, folder / "run")
            except InputError as error:
                outcomes["refused"] += 1
                print(f"{kind:<24} refused: {str(error)[:110]}", flush=True)
                continue
            outcome = "equal lengths" if "one length" in said.getvalue() else "right as it is"
            positions, wrong, largest = compare(folder, recipe.teachers[0].name)
            outcomes["WRONG" if wrong else outcome] += 1
            print(f"{kind:<24} {outcome:<24} {positions:>9} {wrong:>6} {largest:>19.4f}", flush=True)
    print(", ".join(f"{count} {outcome}" for outcome, count in outcomes.items()))
    sys.exit(bool(outcomes["WRONG"]))


if __name__ == "__main__":
    main()
