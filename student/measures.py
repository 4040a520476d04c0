"""What a student gives at held-out masked positions: its loss, its accuracy, and how far it is from the teacher. Sums over positions.

Legend: M masked positions, m positions of a block, H hidden size, V vocabulary, K top-k labels a position.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from data.recipe import Precision
from student.hardware import autocast
from student.training.batch import Batch
from student.training.block_gradient import teacher_target
from student.training.loss import FEW_LOGITS
from student.training.masked_head import attention_mask, decoder, hidden_at_masks

# The sums of a batch, in this order.
POSITIONS, LOSS, CORRECT, TEACHER_LOSS, TEACHER_CORRECT, KL, MASS, TEACHER_MASS = range(8)
BINS = 15  # of confidence, for the calibration error: after the eight sums, of each bin the positions, their confidence, and the right ones
SUMS = 8 + 3 * BINS


@torch.inference_mode()
def measure(model: nn.Module, batch: Batch, precision: Precision) -> NDArray[np.float64]:
    """The sums of one batch, on the model's device. Those of a teacher are 0 without its labels.

    Losses and the divergence are in nats. See `divergence` for the last three of the eight, and `calibration_error` for the bins.
    """
    device = batch.input_ids.device
    with autocast(precision, device):
        attention_BT = attention_mask(batch.lengths, batch.input_ids.shape[1])
        hidden_MH = hidden_at_masks(model, batch.input_ids, attention_BT, batch.places)
        linear = decoder(model)
        product = torch.get_autocast_dtype(device.type) if torch.is_autocast_enabled(device.type) else linear.weight.dtype
    weight_VH = linear.weight.to(product)
    sums = np.zeros(SUMS)
    sums[POSITIONS] = batch.masked
    rows = max(1, FEW_LOGITS // len(weight_VH))
    for begin in range(0, batch.masked, rows):
        block = slice(begin, begin + rows)
        z_mV = (hidden_MH[block].to(product) @ weight_VH.T).float()
        if linear.bias is not None:
            z_mV += linear.bias
        gold_m = batch.label_ids[block]
        lse_m, (highest_m, best_m) = z_mV.logsumexp(1), z_mV.max(1)
        sums[LOSS] += _total(lse_m - z_mV.gather(1, gold_m[:, None])[:, 0])
        sums[CORRECT] += float((best_m == gold_m).sum())
        sums[8:] += confidence_bins((highest_m - lse_m).exp(), best_m == gold_m)
        if batch.topk_ids is not None and batch.topk_logits is not None:
            sums[KL:8] += [_total(part) for part in divergence(z_mV, batch.topk_ids[block], batch.topk_logits[block])]
    if batch.label_logits is not None and batch.topk_ids is not None:
        sums[TEACHER_LOSS] = -_total(batch.label_logits)
        sums[TEACHER_CORRECT] = float((batch.topk_ids[:, 0] == batch.label_ids).sum())
    return sums


def divergence(z_mV: Tensor, topk_ids_mK: Tensor, topk_logits_mK: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(KL(teacher ‖ student), the student's mass on the teacher's top k, the teacher's) of each position.

    The outcomes are the teacher's top k, and everything else as one: what the cache knows of the teacher. z_mV are the student's logits.
    """
    t_mK, rest_m = teacher_target(topk_logits_mK.float(), "ghost")
    inside_mK = z_mV.gather(1, topk_ids_mK)
    others_m = z_mV.scatter(1, topk_ids_mK, -torch.inf).logsumexp(1)  # not 1 − the mass inside, which rounding could make 0
    lse_m = torch.logaddexp(others_m, inside_mK.logsumexp(1))
    log_p_mK = inside_mK - lse_m[:, None]
    kl_m = (torch.xlogy(t_mK, t_mK) - t_mK * log_p_mK).sum(1) + torch.xlogy(rest_m, rest_m)
    kl_m += torch.where(rest_m > 0, rest_m * (lse_m - others_m), 0.0)
    return kl_m, log_p_mK.exp().sum(1), t_mK.sum(1)


def confidence_bins(confidence_m: Tensor, correct_m: Tensor) -> NDArray[np.float64]:
    """[3 · BINS] of each bin the positions, the sum of their confidences, and the number of right ones."""
    confidence = np.nan_to_num(confidence_m.cpu().double().numpy())  # of logits that are not finite: no confidence
    bin_m = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    weights = (None, confidence, correct_m.cpu().double().numpy())
    return np.concatenate([np.bincount(bin_m, weight, minlength=BINS) for weight in weights]).astype(np.float64)


def calibration_error(sums: NDArray[np.float64]) -> float:
    """Expected calibration error (Guo et al. 2017, equation 3): the mean |accuracy − confidence| of BINS equal bins, by their positions.

    The confidence is the probability that the student gives its best piece. 0: it is right as often as it says.
    """
    _, confidence, correct = sums[8:].reshape(3, BINS)
    return float(np.abs(correct - confidence).sum() / max(1.0, sums[POSITIONS]))


def _total(values: Tensor) -> float:
    return float(values.cpu().double().sum())  # Apple's GPU has no float64


def means(sums: NDArray[np.float64]) -> list[float]:
    """The eight sums but the first, for each position."""
    count: Any = max(1.0, sums[POSITIONS])
    return [float(value) for value in sums[1:8] / count]
