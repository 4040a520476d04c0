"""What changes from step to step: the learning rate, and the weight λ of the gold label. Steps count from 0."""

import math

from data.recipe import Train
from student.training.teacher_choice import Choice
from vocab.errors import InputError


def learning_rate(step: int, settings: Train) -> float:
    """Linear warm-up to the peak, then what `learning_rate_schedule` says; it reaches 0 just after the last step.

    linear: as BERT. cosine: half a wave. wsd (warm-up, stable, decay): the peak, then linear in the last `decay_share` of the steps.
    """
    if step < settings.warmup_steps:
        return settings.learning_rate * (step + 1) / settings.warmup_steps
    after = (step - settings.warmup_steps) / (settings.steps - settings.warmup_steps)  # share of the steps after the warm-up
    left = {
        "linear": 1.0 - after,
        "cosine": (1.0 + math.cos(math.pi * after)) / 2,
        "wsd": 1.0 - _decayed(step, settings),
    }
    return settings.learning_rate * left[settings.learning_rate_schedule]


def gold_weight(step: int, settings: Train) -> float:
    """λ of a step. By default teacher annealing (Clark et al. 2019): λ = step / steps, from teacher labels only to gold labels only."""
    if settings.labels == "gold":
        return 1.0
    share = {"linear": step / settings.steps, "constant": 0.0, "wsd": _decayed(step, settings)}[settings.gold_schedule]
    return settings.gold_start + (settings.gold_end - settings.gold_start) * share


def _decayed(step: int, settings: Train) -> float:
    """The share that is done of the last part of the steps, in which what is stable before decays."""
    last = max(1, round(settings.steps * settings.decay_share))
    return max(0.0, 1.0 - (settings.steps - step) / last)


def check_schedule(settings: Train) -> None:
    """Refuse a warm-up that never ends, or that the decay overtakes."""
    if settings.warmup_steps >= settings.steps:
        raise InputError(
            f"train.warmup_steps: found {settings.warmup_steps}; expected fewer than train.steps, which is {settings.steps}: "
            "lower the one or raise the other"
        )
    last = round(settings.steps * settings.decay_share)
    if settings.learning_rate_schedule == "wsd" and settings.warmup_steps > settings.steps - last:
        raise InputError(
            f"train.decay_share: found {settings.decay_share:g}; the last {settings.decay_share:.0%} of {settings.steps:,} steps begin "
            f"before the warm-up of {settings.warmup_steps:,} steps ends: lower train.decay_share or train.warmup_steps"
        )


def with_steps(settings: Train, choice: Choice) -> Train:
    """The settings with `steps` instead of `epochs`: passes over all chosen rows, by the tokens that the shards' reports count."""
    if settings.epochs is None:
        return settings
    shares = {shard.location: choice.rows(shard) / max(1, shard.rows) for shard in choice.shards}
    tokens = sum(shares[shard.location] * shard.report.get("counters", {}).get("tokens", 0) for shard in choice.shards)
    steps = max(1, math.ceil(settings.epochs * tokens / settings.tokens_per_batch))
    return settings.model_copy(update={"steps": steps, "epochs": None})
