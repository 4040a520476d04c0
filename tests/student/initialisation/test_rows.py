"""The rows of the student's vocabulary, row by row against the obvious slow version."""

import pytest
import torch

from student.initialisation.rows import TeacherRows, average, collect_rows, draw_missing, project, script


def rows(teacher: str, ids: list[int], width: int, seed: int = 0) -> TeacherRows:
    torch.manual_seed(seed)
    return TeacherRows(teacher=teacher, ids=torch.tensor(ids), rows=torch.randn(len(ids), width))


def test_rows_of_one_piece_become_their_mean() -> None:
    weight_RE = torch.arange(12.0).reshape(6, 2)
    ids_R = torch.tensor([9, 5, 1, 9, 7, 1])
    used_R = torch.tensor([True, True, False, True, True, False])
    found = collect_rows("t", weight_RE, ids_R, used_R)
    assert found.ids.tolist() == [5, 7, 9]
    for index, piece in enumerate(found.ids.tolist()):
        same = [row for row in range(6) if used_R[row] and ids_R[row] == piece]
        assert torch.equal(found.rows[index], weight_RE[same].mean(0))


def test_average_row_by_row() -> None:
    parts = [rows("a", [0, 2, 3, 8], 4, 1), rows("b", [2, 3, 5], 4, 2), rows("c", [3, 9], 4, 3)]
    mean_VH, count_V = average(parts, 10)
    for piece in range(10):
        held = [part.rows[part.ids.tolist().index(piece)] for part in parts if piece in part.ids.tolist()]
        assert count_V[piece] == len(held)
        expected = torch.stack(held).mean(0) if held else torch.zeros(4)
        torch.testing.assert_close(mean_VH[piece], expected)


def test_a_turned_teacher_is_turned_back() -> None:
    """Two teachers whose spaces differ by a rotation and a length: after it, also the pieces that only one has are where they belong."""
    reference = rows("a", [*range(40)], 6)
    turn, _ = torch.linalg.qr(torch.randn(6, 6, generator=torch.Generator().manual_seed(5)))
    hidden = torch.randn(10, 6)
    other = TeacherRows(teacher="b", ids=torch.arange(20, 50), rows=3.0 * torch.cat([reference.rows[20:], hidden]) @ turn)
    found = project(other, reference)
    torch.testing.assert_close(found.rows[:20], reference.rows[20:], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found.rows[20:], hidden, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("width", [3, 12])
def test_another_width(width: int) -> None:
    """Narrower and wider: the best matrix with orthonormal rows or columns, no worse than any of a thousand random ones."""
    reference = rows("a", [*range(50)], 6, 1)
    other = TeacherRows(
        teacher="b", ids=torch.arange(50), rows=reference.rows @ torch.randn(6, width) + 0.1 * torch.randn(50, width)
    )
    found = project(other, reference).rows
    assert found.shape == (50, 6)
    scale = reference.rows.norm() / other.rows.norm()

    def agreement(turned: torch.Tensor) -> float:
        return float((turned * reference.rows).sum())

    best = agreement(found)
    for seed in range(1000):
        tall = max(6, width)
        turn, _ = torch.linalg.qr(torch.randn(tall, tall, generator=torch.Generator().manual_seed(seed)))
        assert agreement(scale * other.rows @ turn[:width, :6]) <= best + 1e-3


@pytest.mark.parametrize("width", [3, 6, 9])
def test_without_a_shared_piece_numbers_stay_where_they_are(width: int) -> None:
    found = project(rows("b", [7, 8], width), rows("a", [1, 2], 6, 1))
    expected = torch.zeros(2, 6)
    kept = min(width, 6)
    expected[:, :kept] = rows("b", [7, 8], width).rows[:, :kept]
    torch.testing.assert_close(found.rows, expected)


def test_missing_rows_are_drawn_from_their_script() -> None:
    shown = ["[PAD]", *(f"a{index}" for index in range(200)), *(f"я{index}" for index in range(200))]
    pieces = [*shown, *["nach"] * 300, *["##дом"] * 300, "語", "12"]
    present_V = torch.tensor([True] * 401 + [False] * 602)
    rows_VH = torch.zeros(len(pieces), 2)
    rows_VH[1:201] = torch.tensor([5.0, 0.0]) + torch.randn(200, 2)
    rows_VH[201:401] = torch.tensor([-5.0, 1.0]) + 0.1 * torch.randn(200, 2)
    found = draw_missing(rows_VH, present_V, pieces, torch.Generator().manual_seed(1))
    assert torch.equal(found[:401], rows_VH[:401])
    for first, last, known in ((401, 701, slice(1, 201)), (701, 1001, slice(201, 401))):
        torch.testing.assert_close(found[first:last].mean(0), rows_VH[known].mean(0), atol=0.2, rtol=0)
        torch.testing.assert_close(found[first:last].std(0), rows_VH[known].std(0), atol=0.1, rtol=0)
    assert found[1001:].abs().sum() > 0  # a script of which nothing is known takes the distribution of all
    again = draw_missing(rows_VH, present_V, pieces, torch.Generator().manual_seed(1))
    assert torch.equal(found, again)


def test_scripts() -> None:
    assert [script(piece) for piece in ("haus", "##ung", "дом", "語", "ア", "12", "<bytes E4 B8>", "1a")] == [
        "LATIN", "LATIN", "CYRILLIC", "CJK", "KATAKANA", "", "", "LATIN",
    ]  # fmt: skip
