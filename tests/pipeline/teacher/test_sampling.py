"""Ids drawn from a teacher's distribution: against an obvious slow version, and through predict, validate, audit and train."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from data.contract import HELDOUT
from data.logits import LOWEST
from data.recipe import Predict
from data.run import Run
from data.shards import list_shards, open_shard, read_shards
from data.validation.validate import validate
from pipeline.audit import audit
from pipeline.predict import predict
from pipeline.teacher.sampling import count_draws, draw_rows
from student.train_student import train_student
from student.training.block_gradient import teacher_target
from tests.support.factories import article_shard, articles, two_language_recipe
from tests.support.runs import MULTI_PROCESSING, build_union, changed, columns

SAMPLED = {"selection": "sampled", "draws": 12}


def points(count: int, draws: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy((np.random.default_rng(seed).integers(0, 2**32, (count, draws)) + 0.5) / 2.0**32)


@pytest.mark.parametrize("rows", [3, 64, 65, 1000])
@pytest.mark.parametrize("scale", [0.01, 1.0, 20.0])
def test_rows_against_the_cumulated_probabilities(rows: int, scale: float) -> None:
    torch.manual_seed(rows)
    logits_MV = scale * torch.randn(7, rows)
    usable_V = torch.rand(rows) < 0.7
    usable_V[0] = True
    points_MD = points(7, 40)
    drawn = draw_rows(logits_MV, usable_V, points_MD)
    p_MV = logits_MV.double().masked_fill(~usable_V, -torch.inf).softmax(1).numpy()
    for m in range(7):
        ends = np.cumsum(p_MV[m]) / p_MV[m].sum()
        for d in range(40):
            row = int(drawn[m, d])
            assert usable_V[row]
            begin = ends[row - 1] if row else 0.0
            assert begin - 1e-5 <= float(points_MD[m, d]) <= ends[row] + 1e-5


def test_the_mean_of_ten_thousand_draws_is_the_distribution() -> None:
    torch.manual_seed(1)
    logits_MV = 2 * torch.randn(1, 200)
    usable_V = torch.ones(200, dtype=torch.bool)
    drawn = draw_rows(logits_MV.expand(200, -1), usable_V, points(200, 50))  # 10,000 draws
    share_V = np.bincount(drawn.numpy().ravel(), minlength=200) / 10_000
    p_V = logits_MV.softmax(1)[0].double().numpy()
    deviation_V = np.sqrt(p_V * (1 - p_V) / 10_000)
    assert (np.abs(share_V - p_V) < 5 * deviation_V + 1e-9).all()
    chi2 = ((share_V - p_V) ** 2 / deviation_V**2 * (1 - p_V)).sum()
    assert 199 - 6 * np.sqrt(2 * 199) < chi2 < 199 + 6 * np.sqrt(2 * 199)


def test_numbers_that_are_none_do_no_harm() -> None:
    logits_MV = torch.tensor([[torch.nan] * 70, [torch.inf] * 70, [-torch.inf] * 70])
    drawn = draw_rows(logits_MV, torch.ones(70, dtype=torch.bool), points(3, 5))
    assert ((drawn >= 0) & (drawn < 70)).all()


def test_extreme_points() -> None:
    logits_MV = torch.zeros(1, 130)
    edge = torch.tensor([[0.5 / 2**32, (2**32 - 0.5) / 2**32]], dtype=torch.float64)
    assert draw_rows(logits_MV, torch.ones(130, dtype=torch.bool), edge).tolist() == [[0, 129]]


@pytest.mark.parametrize("draws", [1, 2, 7, 50])
def test_counts_against_a_loop(draws: int) -> None:
    rng = np.random.default_rng(draws)
    ids_MD = rng.integers(5, 5 + 2 * draws, (40, draws))
    found_MD, logits_MD = count_draws(ids_MD)
    for m in range(40):
        counted = sorted(Counter(ids_MD[m].tolist()).items(), key=lambda item: (-item[1], item[0]))
        fill = [piece for piece in range(5, 5 + 2 * draws + 1) if piece not in ids_MD[m]][: draws - len(counted)]
        assert found_MD[m].tolist() == [piece for piece, _ in counted] + fill
        expected = [np.float16(np.log(count / draws)) for _, count in counted] + [np.float16(LOWEST)] * len(fill)
        assert logits_MD[m].tolist() == expected


def test_the_loss_reads_counts_as_probabilities() -> None:
    ids_MD, logits_MD = count_draws(np.array([[9, 9, 7, 30]]))
    t_MK, rest_M = teacher_target(torch.from_numpy(logits_MD.astype(np.float32)), "renormalise")
    assert dict(zip(ids_MD[0].tolist(), t_MK[0].tolist(), strict=True)) == {
        9: pytest.approx(0.5, abs=1e-3), 7: pytest.approx(0.25, abs=1e-3), 30: pytest.approx(0.25, abs=1e-3), 5: 0.0,
    }  # fmt: skip
    assert rest_M.item() == 0.0


def sampled_recipe(folder: Path, **predict_settings: Any) -> Any:
    recipe = two_language_recipe(folder, articles_each=80)
    for language in ("en", "de"):
        article_shard(folder / f"heldout/{language}.parquet", [f"{text} ." for text in articles(language, 9)])
    heldout = {language: f"heldout/{language}.parquet" for language in ("en", "de")}
    return changed(recipe, heldout=heldout, predict=recipe.model_dump()["predict"] | SAMPLED | predict_settings)


@pytest.fixture(scope="module")
def sampled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    folder = tmp_path_factory.mktemp("sampled")
    recipe = sampled_recipe(folder)
    build_union(recipe, folder / "run")
    predict(Run(recipe=recipe, folder=folder / "run"), show_progress=False)
    return recipe, folder / "run"


def test_predict_draws_where_it_trains_and_ranks_where_it_scores(sampled: tuple[Any, Path]) -> None:
    recipe, run = sampled
    for shard in read_shards(list_shards(str(run / "predictions"))):
        assert (shard.identity["selection"], shard.identity["top_k"]) == ("sampled", 12)
        for row in open_shard(shard.location).read().to_pylist():
            logits_MD = np.array(row["topk_logits"]).reshape(-1, 12)
            np.testing.assert_allclose(np.exp(logits_MD).sum(1), 1.0, atol=2e-3)
    for shard in read_shards(list_shards(str(run / HELDOUT))):
        assert "selection" not in shard.identity
        assert shard.identity["top_k"] == 4
    for split in ("predictions", HELDOUT):
        report = validate(str(run / split))
        assert report.exit_code == 0, report
    assert predict(Run(recipe=recipe, folder=run), show_progress=False).computed == 0
    assert audit(Run(recipe=recipe, folder=run), rows=60, show_progress=False).sound


def test_gold_ids_are_drawn_as_often_as_their_logits_say(sampled: tuple[Any, Path]) -> None:
    _, run = sampled
    drawn, expected, variance = 0.0, 0.0, 0.0
    for shard in read_shards(list_shards(str(run / "predictions"))):
        for row in open_shard(shard.location).read().to_pylist():
            ids_MD = np.array(row["topk_ids"]).reshape(-1, 12)
            share_MD = np.exp(np.array(row["topk_logits"])).reshape(-1, 12)
            drawn += (share_MD * (ids_MD == np.array(row["label_ids"])[:, None])).sum()
            p_M = np.exp(np.array(row["label_logits"]))
            expected, variance = expected + p_M.sum(), variance + (p_M * (1 - p_M)).sum() / 12
    assert abs(drawn - expected) < 5 * np.sqrt(variance) + 0.01 * expected


def test_the_same_draws_on_another_runner(sampled: tuple[Any, Path], tmp_path: Path) -> None:
    recipe, run = sampled
    build_union(recipe, tmp_path / "run")
    predict(Run(recipe=recipe, folder=tmp_path / "run"), beam_args=MULTI_PROCESSING, show_progress=False)
    assert columns(tmp_path / "run") == columns(run)


def test_a_student_learns_from_draws(sampled: tuple[Any, Path]) -> None:
    recipe, run = sampled
    result = train_student(Run(recipe=recipe, folder=run), "from-draws", progress=False)
    assert 0 < result.metrics["teacher_loss"] < 20


def test_a_cache_of_another_selection_is_refused(sampled: tuple[Any, Path]) -> None:
    recipe, run = sampled
    other = changed(recipe, predict=recipe.model_dump()["predict"] | {"selection": "top-k"})
    with pytest.raises(ValueError, match=r"top_k: found 12, expected 4.*selection: found sampled, expected nothing"):
        predict(Run(recipe=other, folder=run), show_progress=False)
    with pytest.raises(ValueError, match="draws: found 500; teacher 'bert-en' can predict"):
        predict(
            Run(recipe=changed(recipe, predict=recipe.model_dump()["predict"] | {"draws": 500}), folder=run), show_progress=False
        )
    with pytest.raises(ValueError, match="would round the counts"):
        Predict(selection="sampled", logits="8-bit")
