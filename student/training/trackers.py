"""train.trackers: the metrics to TensorBoard, Weights & Biases, MLflow and others, by accelerate. metrics.jsonl is written always."""

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from accelerate.tracking import LOGGER_TYPE_TO_CLASS, get_available_trackers

from student.hardware import open_accelerator
from vocab.errors import InputError

FOLDER = "logs"  # in the student's folder, for trackers that write files


class Trackers:
    """The trackers of one training run; none is fine. Only the main process sends something."""

    def __init__(self, names: Sequence[str], out: Path, settings: Mapping[str, Any], first_step: int) -> None:
        """settings: flat, shown beside the curves. first_step: steps from here on replace those of a run that was stopped."""
        self._accelerator = None
        if not names:
            return
        self._accelerator = open_accelerator(trackers=names, folder=out)
        self._accelerator.init_trackers(
            FOLDER,
            config={key: value for key, value in settings.items() if isinstance(value, str | int | float | bool)},
            init_kwargs={"tensorboard": {"purge_step": first_step}},
        )

    def log(self, row: Mapping[str, Any], step: int) -> None:
        """Send the numbers of a row, those inside it by names such as "epochs/de"."""
        if self._accelerator is not None:
            self._accelerator.log(flat(row), step=step)

    def close(self) -> None:
        """Wait until everything was sent."""
        if self._accelerator is not None:
            self._accelerator.end_training()


def flat(row: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """The numbers of a row of JSON. Those of a list of scores have the names of their language and teacher."""
    numbers: dict[str, float] = {}
    for key, value in row.items():
        if isinstance(value, Mapping):
            numbers |= flat(value, f"{prefix}{key}/")
        elif isinstance(value, list | tuple):
            for entry in value:
                numbers |= flat(entry, f"{prefix}{entry['language']}/{entry['teacher']}/")
        elif isinstance(value, int | float):
            numbers[f"{prefix}{key}"] = float(value)
    return numbers


def check_trackers(names: Sequence[str]) -> None:
    """Raise InputError for a tracker that accelerate does not know, or that is not installed."""
    installed = {str(getattr(tracker, "value", tracker)) for tracker in get_available_trackers()}
    for name in names:
        if name not in LOGGER_TYPE_TO_CLASS:
            raise InputError(f"train.trackers: found '{name}'; expected some of {', '.join(sorted(LOGGER_TYPE_TO_CLASS))}")
        if name not in installed:
            package = name.replace("_", "-")
            advice = f"pip install {package}" if find_spec(name) is None else f"a working {package}"
            raise InputError(f"train.trackers: '{name}' is not installed; expected {advice}")
