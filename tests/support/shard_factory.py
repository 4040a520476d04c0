"""Sound shards of random labels, written by the real writer: the same for the same arguments, on any machine.

Legend: R rows, T tokens of a row, M masked positions of a row, P masked positions of all rows, K top-k, C candidates a position.
"""

import hashlib
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from data.contract import SCHEMA, ShardPath
from data.logits import in_steps
from data.shards import list_column, write_shard
from data.validation.folder_rules import UnionFacts
from vocab.roles import UNION_ROLES

UNION_SIZE = 3000
FIRST_PIECE = 5


def sha256(text: str) -> str:
    """A fingerprint to stand for a real one."""
    return hashlib.sha256(text.encode()).hexdigest()


def make_identity(teacher: str = "gbert", **changes: Any) -> dict[str, Any]:
    """A teacher's identity; `changes` replace fields, "examples.max_length" as examples_max_length."""
    identity: dict[str, Any] = {
        "schema_version": 2,
        "top_k": 4,
        "logits": "float16",
        "dtype": "auto",
        "seed": 0,
        "examples.max_length": 24,
        "examples.mask_rate": 0.15,
        "examples.masking": "token",
        "examples.maskings": 1,
        "union": sha256(f"union up to {teacher}"),
        "teacher.tokenizer": sha256(f"tokenizer of {teacher}"),
        "teacher.weights": sha256(f"weights of {teacher}"),
    }
    changes = {key.replace("examples_", "examples.").replace("teacher_", "teacher."): value for key, value in changes.items()}
    assert set(changes) <= set(identity), f"no such fields: {set(changes) - set(identity)}"
    return identity | changes


def make_vocabulary(*teachers: str) -> UnionFacts:
    """The vocabulary that the identities of these teachers are of."""
    links = {teacher: (UNION_SIZE, make_identity(teacher)["union"]) for teacher in teachers}
    return UnionFacts(size=UNION_SIZE, links=links, complete=frozenset(teachers))


def make_table(identity: dict[str, Any], *, articles: int = 8, name: str = "article", seed: int = 0) -> pa.Table:
    """A sound table of the contract's schema; its doc_ids begin with `name`, and each article has one to three windows."""
    rng = np.random.default_rng(seed)
    names: list[str] = []
    windows: list[int] = []
    tokens: list[NDArray[np.uint32]] = []
    masks: list[NDArray[np.int64]] = []
    gold: list[NDArray[np.uint32]] = []
    body, maskings = identity["examples.max_length"] - 2, identity["examples.maskings"]
    for article in range(articles):
        length = int(rng.integers(body // 2, 3 * body + 1))
        text = rng.integers(FIRST_PIECE, UNION_SIZE, length).astype(np.uint32)
        text[rng.random(length) < 0.02] = UNION_ROLES.unk
        for window, start in enumerate(range(0, length, body)):
            piece = np.concatenate(([UNION_ROLES.cls], text[start : start + body], [UNION_ROLES.sep])).astype(np.uint32)
            candidates = np.flatnonzero(piece >= FIRST_PIECE)
            if not len(candidates):
                continue
            for masking in range(maskings):
                count = max(1, round(identity["examples.mask_rate"] * len(candidates)))
                chosen = np.sort(rng.choice(candidates, count, replace=False))
                chance = rng.random(count)
                shown = piece.copy()
                swapped = rng.integers(FIRST_PIECE, UNION_SIZE, count).astype(np.uint32)
                shown[chosen] = np.where(chance < 0.8, UNION_ROLES.mask, np.where(chance < 0.9, swapped, piece[chosen]))
                names.append(f"{name}-{article}")
                windows.append(window * maskings + masking)
                tokens.append(shown)
                masks.append(chosen)
                gold.append(piece[chosen])
    count_R = np.array([len(chosen) for chosen in masks], dtype=np.int64)
    gold_P = _flat(gold)
    gold_logit_P, ids_PK, logits_PK = _label(gold_P, identity["top_k"], rng)
    if identity["logits"] == "8-bit":
        ids_PK, logits_PK = in_steps(ids_PK, logits_PK)
    columns = [
        pa.array(names, pa.string()),
        pa.array(windows, pa.int32()),
        list_column(_flat(tokens), np.array([len(row) for row in tokens], dtype=np.int64), "input_ids"),
        list_column(_flat(masks), count_R, "mask_positions"),
        list_column(gold_P, count_R, "label_ids"),
        list_column(gold_logit_P, count_R, "label_logits"),
        list_column(ids_PK.ravel(), count_R * identity["top_k"], "topk_ids"),
        list_column(logits_PK.ravel(), count_R * identity["top_k"], "topk_logits"),
    ]
    return pa.Table.from_arrays(columns, schema=SCHEMA)


def make_shard(
    predictions: str,
    *,
    language: str = "de",
    teacher: str = "gbert",
    corpus: str = "de-0",
    first_row_group: int = 0,
    row_groups: int = 1,
    articles: int = 8,
    identity: dict[str, Any] | None = None,
    table: pa.Table | None = None,
) -> str:
    """Write one sound shard (or `table` as it is, sound or not) below a folder of predictions; its location."""
    identity = make_identity(teacher) if identity is None else identity
    seed = int(sha256(f"{language} {teacher} {corpus} {first_row_group}")[:8], 16)
    if table is None:
        table = make_table(identity, articles=articles, name=f"{corpus}-{first_row_group}", seed=seed)
    location = ShardPath(language=language, teacher=teacher, name=f"{corpus}-{first_row_group}").below(predictions)
    unit = {
        "teacher": teacher,
        "language": language,
        "corpus": f"corpora/{corpus}.parquet",
        "corpus_fingerprint": sha256(corpus),
        "first_row_group": first_row_group,
        "row_groups": row_groups,
        "articles": articles,
    }
    masked = len(table["mask_positions"].combine_chunks().flatten())
    report = {
        "rows": table.num_rows,
        "masked_positions": masked,
        "seconds": 1.5,
        "started": "2025-01-01T00:00:00+00:00",
        "counters": {
            "articles": articles,
            "windows": table.num_rows // identity["examples.maskings"],
            "masked_positions": masked,
            "windows_without_maskable_token": 0,
            "articles_without_windows": 0,
        },
    }
    write_shard(location, table, identity=identity, unit=unit, report=report)
    return location


def make_folder(predictions: str, **changes: Any) -> list[str]:
    """A sound folder: two languages, two teachers, one of them of both; the locations of its five shards. `changes` of the identities."""
    gbert: dict[str, Any] = {"language": "de", "teacher": "gbert", "identity": make_identity("gbert", **changes)}
    mbert: dict[str, Any] = {"teacher": "mbert", "identity": make_identity("mbert", **changes)}
    return [
        make_shard(predictions, corpus="de-0", first_row_group=0, row_groups=2, **gbert),
        make_shard(predictions, corpus="de-0", first_row_group=2, row_groups=2, **gbert),
        make_shard(predictions, corpus="de-1", first_row_group=0, **gbert),
        make_shard(predictions, language="de", corpus="de-0", first_row_group=0, row_groups=4, **mbert),
        make_shard(predictions, language="en", corpus="en-0", first_row_group=0, **mbert),
    ]


def _label(
    gold_P: NDArray[np.uint32], top_k: int, rng: np.random.Generator
) -> tuple[NDArray[np.float16], NDArray[np.uint32], NDArray[np.float16]]:
    """A random teacher: the gold ids' logits [P], and the top k's ids and logits [P, K]."""
    count, pieces = top_k + 4, UNION_SIZE - FIRST_PIECE
    step_P = rng.integers(1, pieces // count, len(gold_P))  # so small that the candidates do not wrap onto each other
    ids_PC = (FIRST_PIECE + (gold_P[:, None] - FIRST_PIECE + step_P[:, None] * np.arange(count)) % pieces).astype(np.uint32)
    logits_PC = rng.normal(0, 3, ids_PC.shape)
    logits_PC[:, 0] += 2  # type: ignore[index]  # the gold id is often among the top k, not always
    rest_P = rng.exponential(1, len(gold_P))  # the mass of all other ids
    normalised_PC = (logits_PC - np.log(np.exp(logits_PC).sum(axis=1) + rest_P)[:, None]).astype(np.float16)
    order_PK = np.lexsort((ids_PC, -normalised_PC), axis=-1)[:, :top_k]
    return normalised_PC[:, 0], np.take_along_axis(ids_PC, order_PK, 1), np.take_along_axis(normalised_PC, order_PK, 1)


def _flat(arrays: list[NDArray[Any]]) -> NDArray[Any]:
    return np.concatenate(arrays) if arrays else np.zeros(0, dtype=np.uint32)
