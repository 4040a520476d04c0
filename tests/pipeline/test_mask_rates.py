"""examples.maskings as a list of rates: each window once with each, in one cache."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from data.run import Run
from data.shards import list_shards, open_shard, read_shards
from data.validation.validate import validate
from pipeline.audit import audit
from pipeline.predict import predict
from student.train_student import train_student
from tests.support.factories import two_language_recipe
from tests.support.faults import rewrite
from tests.support.runs import build_union, changed
from vocab.errors import InputError

RATES = [0.5, 0.2, 0.05]


@pytest.mark.parametrize("masking", ["token", "whole-word"])
def test_each_window_once_with_each_rate(tmp_path: Path, masking: str) -> None:
    recipe = two_language_recipe(tmp_path, examples={"max_length": 24, "maskings": RATES, "masking": masking})
    run = Run(recipe=recipe, folder=tmp_path / "run")
    build_union(recipe, run.folder)
    predict(run, show_progress=False)
    report = validate(run.predictions)
    assert report.exit_code == 0, report.faults
    assert audit(run, rows=30, show_progress=False).sound
    masked: dict[int, list[float]] = {0: [], 1: [], 2: []}
    for shard in read_shards(list_shards(run.predictions)):
        assert shard.identity["examples.maskings"] == 3
        assert shard.identity["examples.mask_rate"] == RATES
        rows = open_shard(shard.location).read().to_pylist()
        assert sorted(row["window"] % 3 for row in rows) == sorted([*range(3)] * (len(rows) // 3))
        for row in rows:
            count, length = len(row["mask_positions"]), len(row["input_ids"]) - 2
            if masking == "token":
                assert count == max(1, round(RATES[row["window"] % 3] * length))
            masked[row["window"] % 3].append(count / length)
    shares = [float(np.mean(masked[copy])) for copy in range(3)]
    assert shares[0] > shares[1] > shares[2]
    assert train_student(run, progress=False).steps == 4


def test_other_rates_are_another_cache(tmp_path: Path) -> None:
    recipe = two_language_recipe(tmp_path, examples={"max_length": 24, "maskings": RATES})
    run = Run(recipe=recipe, folder=tmp_path / "run")
    build_union(recipe, run.folder)
    predict(run, show_progress=False)
    other = changed(recipe, examples={"max_length": 24, "maskings": [0.5, 0.2, 0.1]})
    with pytest.raises(InputError, match=r"examples.mask_rate: found \[0.5, 0.2, 0.05\], expected \[0.5, 0.2, 0.1\]"):
        predict(Run(recipe=other, folder=run.folder), show_progress=False)
    with pytest.raises(InputError, match=r"examples.maskings: found 3, expected 2"):
        predict(Run(recipe=changed(recipe, examples={"max_length": 24, "maskings": 2}), folder=run.folder), show_progress=False)


def test_a_window_with_the_rate_of_another_copy_is_a_fault(tmp_path: Path) -> None:
    """Two rows of one window in exchange: the numbers of the copies say which rate each must have."""
    recipe = two_language_recipe(tmp_path, examples={"max_length": 24, "maskings": RATES})
    run = Run(recipe=recipe, folder=tmp_path / "run")
    build_union(recipe, run.folder)
    predict(run, show_progress=False)
    file = Path(list_shards(run.predictions)[0])

    def exchange(table: pa.Table) -> pa.Table:
        windows = table["window"].to_numpy().copy()
        windows[0], windows[1] = windows[1], windows[0]
        return table.set_column(1, table.schema.field("window"), pa.array(windows))

    rewrite(file, exchange)
    assert "mask_positions.share" in {fault.rule for fault in validate(run.predictions).faults}


@pytest.mark.parametrize("rates", [[], [0.0], [0.15, 1.0], ["x"]])
def test_rates_that_are_none(tmp_path: Path, rates: list[object]) -> None:
    with pytest.raises(InputError, match=r"examples.maskings"):
        two_language_recipe(tmp_path, examples={"maskings": rates})
