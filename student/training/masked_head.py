"""A masked LM of transformers whose head runs only at masked positions, and without the last matrix product.

At V = 119,547 the head at every position would cost more than the encoder. Two hooks do this for every architecture. The first
replaces the last hidden state of the base model by its rows at the masked positions, so the layers of the head see only those. The
second takes the input of the last linear layer. Legend: B batch, T tokens, M masked, H hidden, V vocabulary.
"""

from typing import Any

import torch
from torch import Tensor, nn

from student.training.block_gradient import Tail
from student.training.loss import Loss, masked_loss
from vocab.errors import InputError


def hidden_at_masks(model: nn.Module, input_ids_BT: Tensor, attention_BT: Tensor | None, places_M: Tensor) -> Tensor:
    """hidden_MH: the input of the last linear layer at the masked positions. Logits are hidden · weightᵀ + bias of `decoder(model)`.

    input_ids_BT is int64; attention_BT is 1 at tokens and 0 at padding, None without padding; places_M is int64, with
    the flat places b·T + t. The result is differentiable. Raises InputError for a model whose head does not end with a linear layer.
    """
    base: Any = model.base_model
    linear = decoder(model)
    found: list[Tensor] = []

    def gather(_: nn.Module, __: Any, output: Any) -> Any:
        hidden_BTH = output["last_hidden_state"]
        output["last_hidden_state"] = hidden_BTH.flatten(0, 1)[places_M][None]
        return output

    def take(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor]:
        found.append(inputs[0])
        return (inputs[0][:, :0].detach(),)  # no rows, so the product costs nothing

    hooks = [base.register_forward_hook(gather), linear.register_forward_pre_hook(take)]
    try:
        model(input_ids=input_ids_BT, attention_mask=attention_BT, return_dict=True)
    finally:
        for hook in hooks:
            hook.remove()
    if len(found) != 1 or found[0].shape[:2] != (1, len(places_M)):
        raise InputError(
            f"{type(model).__name__}: its masked-LM head does not end in one linear layer; choose another architecture"
        )
    return found[0][0]


def decoder(model: nn.Module) -> nn.Linear:
    """The last linear layer of a masked LM, [H → V]. Its weight may be tied to the input embeddings."""
    linear = model.get_output_embeddings()  # type: ignore[operator]
    if not isinstance(linear, nn.Linear) or model.base_model is model:
        raise InputError(
            f"{type(model).__name__}: its masked-LM head does not end in one linear layer; choose another architecture"
        )
    return linear


def attention_mask(lengths_B: Tensor, width: int) -> Tensor:
    """attention_BT int64: 1 at the first `length` places of each row, 0 at padding."""
    return (torch.arange(width, device=lengths_B.device) < lengths_B[:, None]).long()


class MaskedLM(nn.Module):
    """A masked LM and its loss as one module, so that DDP sees every gradient. The model itself is not changed."""

    def __init__(self, model: nn.Module, tail: Tail) -> None:
        super().__init__()
        self.model = model
        self.tail = tail

    def forward(
        self,
        input_ids_BT: Tensor,
        lengths_B: Tensor | None,
        places_M: Tensor,
        label_ids_M: Tensor,
        topk_ids_MK: Tensor | None,
        topk_logits_MK: Tensor | None,
        gold_weight: float,
        scale: float,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """total [], gold_M, teacher_M, correct_M of `masked_loss`. Without lengths, no row has padding, and no mask is made."""
        attention_BT = None if lengths_B is None else attention_mask(lengths_B, input_ids_BT.shape[1])
        hidden_MH = hidden_at_masks(self.model, input_ids_BT, attention_BT, places_M)
        linear = decoder(self.model)
        loss: Loss = masked_loss(
            hidden_MH,
            linear.weight,
            linear.bias,
            label_ids_M,
            topk_ids_MK,
            topk_logits_MK,
            gold_weight=gold_weight,
            tail=self.tail,
            scale=scale,
        )
        return loss.total, loss.gold_M, loss.teacher_M, loss.correct_M
