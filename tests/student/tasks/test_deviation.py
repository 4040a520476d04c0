"""RDT and its two means."""

import pytest

from student.tasks.deviation import deviation, deviation_of_means, mean_deviation
from vocab.errors import InputError


def test_the_two_means_differ() -> None:
    assert deviation(92.9, 95.6) == pytest.approx(-2.824, abs=1e-3)
    student, teachers = {"a": 50.0, "b": 90.0, "c": 10.0}, {"a": [40.0], "b": [100.0]}
    assert mean_deviation(student, teachers) == pytest.approx((25.0 - 10.0) / 2)
    assert deviation_of_means([50.0, 90.0], [40.0, 100.0]) == 0.0


def test_the_paper_s_avg_column_is_the_deviation_of_averages() -> None:
    assert deviation_of_means([75.33], [69.24]) == pytest.approx(8.8, abs=0.05)


def test_several_teachers_of_a_language_count_as_one() -> None:
    assert mean_deviation({"a": 50.0, "b": 90.0}, {"a": [40.0, 50.0], "b": [100.0]}) == pytest.approx((12.5 - 10.0) / 2)


def test_what_has_no_deviation() -> None:
    with pytest.raises(InputError, match="a teacher's score of 0"):
        deviation(1.0, 0.0)
    with pytest.raises(InputError, match="no score of the student in 'b'"):
        mean_deviation({"a": 1.0}, {"a": [1.0], "b": [1.0]})
    with pytest.raises(InputError, match="no teacher's score"):
        mean_deviation({"a": 1.0}, {})
    with pytest.raises(InputError, match="found 2 scores of the student and 1 of the teacher"):
        deviation_of_means([1.0, 2.0], [1.0])
