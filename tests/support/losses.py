"""The student's loss as the paper defines it, over the whole vocabulary: what the fast ones are compared with."""

import torch
from torch import Tensor

from student.training.block_gradient import Tail


def dense_loss(
    hidden_MH: Tensor,
    weight_VH: Tensor,
    bias_V: Tensor,
    labels_M: Tensor,
    ids_MK: Tensor,
    logits_MK: Tensor,
    weight: float,
    tail: Tail,
) -> Tensor:
    """The definition, written out over the whole vocabulary."""
    z_MV = hidden_MH @ weight_VH.T + bias_V
    log_p_MV = torch.log_softmax(z_MV, 1)
    t_MK = logits_MK.exp()
    rest_M = 1 - t_MK.sum(1)
    gold_MV = torch.nn.functional.one_hot(labels_M, len(weight_VH)).to(log_p_MV)
    teacher_MV = torch.zeros_like(log_p_MV)
    if tail == "renormalise":
        teacher_MV.scatter_(1, ids_MK, t_MK / t_MK.sum(1, keepdim=True))
    else:
        teacher_MV.scatter_(1, ids_MK, t_MK)
    log_p_MV = log_p_MV.masked_fill(log_p_MV == -torch.inf, 0.0)  # no target is there, and 0 · −inf is not a number
    teacher = -(teacher_MV * log_p_MV).sum()
    if tail == "gold":
        teacher = teacher - (rest_M[:, None] * gold_MV * log_p_MV).sum()
    if tail == "ghost":
        others_M = z_MV.scatter(1, ids_MK, -torch.inf).logsumexp(1) - z_MV.logsumexp(1)
        teacher = teacher - (rest_M * others_M).sum()
    return weight * -(gold_MV * log_p_MV).sum() + (1 - weight) * teacher
