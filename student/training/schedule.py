"""What changes from step to step: the learning rate, and the weight λ of the gold label. Steps count from 0."""

from data.recipe import Train
from vocab.errors import InputError


def learning_rate(step: int, settings: Train) -> float:
    """Linear warm-up to the peak, then linear decay, which reaches 0 just after the last step (as BERT)."""
    if step < settings.warmup_steps:
        return settings.learning_rate * (step + 1) / settings.warmup_steps
    return settings.learning_rate * (settings.steps - step) / (settings.steps - settings.warmup_steps)


def gold_weight(step: int, settings: Train) -> float:
    """Teacher annealing (Clark et al. 2019): λ = step / steps. Training begins with only teacher labels and ends with only gold labels."""
    return 1.0 if settings.labels == "gold" else step / settings.steps


def check_schedule(settings: Train) -> None:
    """Refuse a warm-up that never ends."""
    if settings.warmup_steps >= settings.steps:
        raise InputError(
            f"train.warmup_steps: found {settings.warmup_steps}; expected fewer than train.steps, which is {settings.steps}: "
            "lower the one or raise the other"
        )
