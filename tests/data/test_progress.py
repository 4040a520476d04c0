"""Progress without a terminal: lines with a time stamp, also while one long step runs."""

import re
import time

import pytest

from data import progress
from data.progress import LogLines, each, progress_bar

STAMP = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d:\d\d "


def lines(captured: str) -> list[str]:
    for line in captured.splitlines():
        assert re.match(STAMP, line), line
    return [re.sub(STAMP, "", line) for line in captured.splitlines()]


def wait_for(capsys: pytest.CaptureFixture[str], count: int) -> list[str]:
    """The lines, once there are so many of them."""
    found = ""
    while len(found.splitlines()) < count:
        time.sleep(0.01)
        found += capsys.readouterr().err
    return lines(found)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "BEGIN_SECONDS", 0.0)


def test_a_mistake_that_is_found_at_once_stays_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "BEGIN_SECONDS", 60.0)
    with pytest.raises(ZeroDivisionError), progress_bar(4, "train", "steps"):
        raise ZeroDivisionError
    assert capsys.readouterr().err == ""


def test_long_work_says_that_it_begins_and_ends(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar(1234, "predict", "units", initial=4) as bar:
        assert isinstance(bar, LogLines)  # pytest's stderr is no terminal
        found = wait_for(capsys, 1)
        bar.update(1230)
    assert found == ["predict: begins: 1,234 units, 4 of them done before"]
    assert lines(capsys.readouterr().err) == ["predict: ended at 1,234 of 1,234 units (100%) after 0:00:00"]


def test_a_line_comes_while_one_step_runs(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "LOG_SECONDS", 0.05)
    with progress_bar(4, "predict", "units") as bar:
        bar.set_postfix_str("1 running, 50% done")
        bar.update(1.5)
        begins, running = wait_for(capsys, 2)[:2]
    assert begins == "predict: begins: 4 units"
    assert (
        running.replace("0:00:01", "0:00:00")
        == "predict: 1.5 of 4 units (38%), 0:00:00 so far, about 0:00:00 left; 1 running, 50% done"
    )


def test_a_failure_says_where_it_stopped(capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> None:
        with progress_bar(4, "train", "steps") as bar:
            bar.update(1)
            wait_for(capsys, 1)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()
    assert lines(capsys.readouterr().err)[-1] == "train: stopped at 1 of 4 steps (25%) after 0:00:00"


def test_short_work_is_silent_and_slow_work_is_not(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert [*each("abc", "validate", "files")] == ["a", "b", "c"]
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(progress, "LOG_SECONDS", 0.05)
    with progress_bar(5_000_000_000, "prepare", "B", long=False, scale=True) as bar:
        bar.update(2_500_000_000)
        assert wait_for(capsys, 1)[0].startswith("prepare: 2.50G of 5.00G B (50%)")
    assert lines(capsys.readouterr().err)[-1].startswith("prepare: ended at 2.50G of 5.00G B")


def test_nothing_is_shown_on_demand(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar(2, "predict", "units", show=False) as bar:
        bar.update(2)
    assert capsys.readouterr().err == ""
