"""A result of `evaluate` beside the simplest model: each word has its commonest tag of the training text.

    python -m tests.trials.task_anchor RESULT.json LANG --train FILES --test FILES

RESULT.json is the result of `mergedistill evaluate udpos` or `ner`. Exit code 1 if a model does not beat the baseline by MARGIN points.
"""

import argparse
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from student.tasks.read_tags import Sentence
from student.tasks.request import task_of

MARGIN = 2.0


def majority(train: Sequence[Sentence], words: Sequence[Sentence]) -> list[list[str]]:
    """The commonest tag of each word in training."""
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for sentence in train:
        for word, tag in zip(sentence.words, sentence.tags, strict=True):
            counts[word][tag] += 1
    every = sum(counts.values(), Counter[str]()).most_common(1)[0][0]
    best = {word: found.most_common(1)[0][0] for word, found in counts.items()}
    return [[best.get(word, every) for word in sentence.words] for sentence in words]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("result", type=Path)
    parser.add_argument("language")
    parser.add_argument("--train", type=Path, nargs="+", required=True)
    parser.add_argument("--test", type=Path, nargs="+", required=True)
    given = parser.parse_args()
    content = json.loads(given.result.read_text(encoding="utf-8"))
    task, _ = task_of(content["task"], words=content["settings"].get("words", "fused"))
    train, test = (task.read(files, None, train=False) for files in (given.train, given.test))
    baseline = task.score(test, majority(train, test), given.language)
    print(f"{'commonest tag of each word':40} " + ", ".join(f"{name} {value:.2f}" for name, value in baseline.items()))
    beaten = True
    for row in content["scores"]:
        if row["language"] == given.language:
            print(f"{row['model']:40} " + ", ".join(f"{name} {row[name]['mean']:.2f}" for name in baseline))
            beaten &= row[content["headline"]]["mean"] > baseline[content["headline"]] + MARGIN
    sys.exit(0 if beaten else 1)


if __name__ == "__main__":
    main()
