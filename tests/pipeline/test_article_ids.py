"""Two articles with one id are refused before a teacher is paid: validate would refuse their windows for ever."""

import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.article_ids import require_unique_ids
from data.articles import read_articles
from data.recipe import Recipe
from data.shards import list_shards
from data.storage import expand
from pipeline.prepare import prepare
from tests.support.factories import TEXTS, two_language_recipe
from tests.support.runs import launch
from vocab.errors import InputError


def jsonl(path: Path, ids: list[str | int | None]) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [{"text": f"{TEXTS['de'][0]} {number}", **({} if one is None else {"id": one})} for number, one in enumerate(ids)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def ids(out: Path) -> list[str]:
    return [doc_id for file in expand(out) for doc_id, _ in read_articles(file)]


def test_prepare_refuses_an_id_of_two_articles(tmp_path: Path) -> None:
    one, two = jsonl(tmp_path / "one.jsonl", [1, 2, 3]), jsonl(tmp_path / "two.jsonl", [3, 4])
    with pytest.raises(InputError, match=r"found 1 articles .* as '3' \(row 2 of one-00000.*row 0 of two-00000.*--id-prefix"):
        prepare([one, two], "de", str(tmp_path / "out"), show_progress=False)
    assert not expand(tmp_path / "out")
    with pytest.raises(InputError, match="found 2 articles with an empty id, or one"):
        prepare(
            [jsonl(tmp_path / "again.jsonl", [7, 7, 8, 7])], "de", str(tmp_path / "out"), heldout_percent=40, show_progress=False
        )


def test_prepare_qualifies_them(tmp_path: Path) -> None:
    one, two = jsonl(tmp_path / "one.jsonl", [1, 2, 3]), jsonl(tmp_path / "two.jsonl", [3, None])
    prepare([one, two], "de", str(tmp_path / "out"), id_prefix="{input}-", show_progress=False)
    assert ids(tmp_path / "out") == ["one-1", "one-2", "one-3", "two-3", "two-two:1"]


def test_an_input_with_two_names(tmp_path: Path) -> None:
    file = jsonl(tmp_path / "in/one.jsonl", [1, 2])
    os.symlink(file, tmp_path / "in/two.jsonl")
    with pytest.raises(InputError, match=r"two\.jsonl: is the same file as .*one\.jsonl, by a link"):
        prepare([str(tmp_path / "in")], "de", str(tmp_path / "out"), show_progress=False)
    os.unlink(tmp_path / "in/two.jsonl")
    os.symlink(tmp_path / "in", tmp_path / "in/loop")
    with pytest.raises(InputError, match="is the same file as"):
        prepare([str(tmp_path / "in/*"), str(tmp_path / "in/loop/*")], "de", str(tmp_path / "out"), show_progress=False)


def write(path: Path, values: list[str | None]) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"id": pa.array(values, pa.string()), "text": [TEXTS["de"][0]] * len(values)}), path)
    return str(path)


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (["a", "b"], ["c", "a"], r"'a' \(row 0 of .*one\.parquet, row 1 of .*two\.parquet\)"),
        (["a", ""], ["b"], r"'' \(row 1 of"),
        (["two:0"], [None], r"'two:0'"),  # what an article without an id is called
        (["a"] * 5, ["a"], "found 5 articles"),
    ],
)
def test_article_shards_of_other_tools(tmp_path: Path, first: list[str | None], second: list[str | None], message: str) -> None:
    files = [write(tmp_path / "one.parquet", first), write(tmp_path / "two.parquet", second)]
    with pytest.raises(InputError, match=message):
        require_unique_ids(files, "corpus of 'de'", "make it again")
    require_unique_ids([write(tmp_path / "three.parquet", ["A", "a", "Ä", None, "three:4"])], "corpus", "")


def test_a_damaged_id_column_is_one_message(tmp_path: Path) -> None:
    file = Path(write(tmp_path / "one.parquet", ["a", "b"]))
    content = bytearray(file.read_bytes())
    content[4:40] = bytes(36)  # its first page
    file.write_bytes(content)
    with pytest.raises(InputError, match="row group 0 is damaged"):
        require_unique_ids([str(file)], "corpus", "")


def test_predict_looks_before_the_first_unit(tmp_path: Path) -> None:
    recipe: Recipe = two_language_recipe(tmp_path)
    file = tmp_path / "corpora/de/part1.parquet"
    table = pq.read_table(file)
    doubled = [f"part0-{index}" if index == 3 else f"x{index}" for index in range(table.num_rows)]
    pq.write_table(table.set_column(table.schema.get_field_index("id"), "id", pa.array(doubled)), file, row_group_size=10)
    with pytest.raises(InputError, match=r"corpus of 'de': found 1 articles .*'part0-3'.*--id-prefix"):
        launch(recipe, tmp_path / "run")
    assert not list_shards(str(tmp_path / "run/predictions"))
