"""How far the hidden states and attention maps of a student are from its teacher's (BiStil, section 3.2: L_hid and L_attn).

Legend: B batch, T tokens, H hidden size, A heads; L layers of the student, f = layers of the teacher / L.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vocab.errors import InputError


@dataclass(frozen=True, kw_only=True, slots=True)
class States:
    """The hidden states and attention maps of a model, from its input to its last layer."""

    hidden: Sequence[Tensor]  # [layers + 1] of [B, T, H]; the first is the embeddings' output
    attention: Sequence[Tensor]  # [layers] of [B, A, T, T]: shares that sum to 1 over the last axis

    @classmethod
    def of(cls, output: Any) -> "States":
        """The states in the output of a model that was called with output_hidden_states and output_attentions."""
        return cls(hidden=output.hidden_states, attention=output.attentions)


@dataclass(frozen=True, kw_only=True, slots=True)
class Totals:
    """What the means divide by: those of a complete batch, also where only a part of it is in memory."""

    tokens: int  # places of the attention mask
    pairs: int  # pairs of such places in one example, summed

    @classmethod
    def of(cls, lengths: Sequence[int]) -> "Totals":
        """Those of examples with these numbers of tokens."""
        return cls(tokens=sum(lengths), pairs=sum(length * length for length in lengths))


def state_losses(student: States, teacher: States, mask_BT: Tensor, totals: Totals | None = None) -> tuple[Tensor, Tensor]:
    """(L_hid, L_attn), each [] in float32.

        L_hid  = 1/(L+1) · Σ_{i=0..L}   mean over tokens and H     of (H_s[i] − H_t[i·f])²
        L_attn = 1/L     · Σ_{i=0..L−1} mean over heads and pairs  of (A_s[i] − A_t[(i+1)·f − 1])²

    Tokens are those with mask 1, pairs are two of them in one example: padding changes neither loss. (The published code counts
    padding in L_hid, and leaves exact zeros out of L_attn.)

    mask_BT  1 at tokens, 0 at padding
    totals   of the whole batch, if this is a part of it: the losses of the parts then sum to the batch's
    """
    lengths = mask_BT.sum(1).tolist()
    totals = totals or Totals.of(lengths)
    layers, deep = len(student.attention), len(teacher.attention)
    assert deep % layers == 0, f"{deep} layers of the teacher are no multiple of {layers}"
    factor = deep // layers
    token_BT1 = mask_BT[:, :, None].to(torch.float32)
    pair_B1TT = (token_BT1 * token_BT1.transpose(1, 2))[:, None]
    hidden = torch.zeros((), device=mask_BT.device)
    for index, own_BTH in enumerate(student.hidden):
        apart_BTH = own_BTH.float() - teacher.hidden[index * factor].float()
        hidden = hidden + (apart_BTH.square() * token_BT1).sum() / (totals.tokens * own_BTH.shape[-1])
    attention = torch.zeros((), device=mask_BT.device)
    for index, own_BATT in enumerate(student.attention):
        apart_BATT = own_BATT.float() - teacher.attention[(index + 1) * factor - 1].float()
        attention = attention + (apart_BATT.square() * pair_B1TT).sum() / (totals.pairs * own_BATT.shape[1])
    return hidden / (layers + 1), attention / layers


@torch.no_grad()
def check_states(model: Any, input_ids_BT: Tensor, name: str) -> None:
    """Raise InputError unless the model gives a hidden state for each layer, and attention maps that are shares.

    Some architectures give no maps, or other ones (of a local window, of a shorter sequence): no student can learn from those.
    """
    try:
        output = model.base_model(input_ids=input_ids_BT, output_hidden_states=True, output_attentions=True, return_dict=True)
        states = States.of(output)
        layers = int(model.config.num_hidden_layers)
        rows, width = input_ids_BT.shape
        maps = [found for found in states.attention or () if found is not None]
        shapes = {tuple(found.shape[0:1]) + tuple(found.shape[2:]) for found in maps}
        reason = ""
        if len(maps) != layers or shapes != {(rows, width, width)}:
            reason = f"gives {len(maps)} attention maps of the shapes {sorted(map(list, shapes))} for {layers} layers"
        elif len(states.hidden or ()) != layers + 1:
            reason = f"gives {len(states.hidden or ())} hidden states for {layers} layers"
        elif any(float((found.float().sum(-1) - 1).abs().max()) > 1e-2 for found in maps):
            reason = "gives attention maps whose rows do not sum to 1"
    except Exception as error:  # each architecture fails in its own way
        reason = f"gives none ({type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''})"
    if reason:
        raise InputError(
            f"{name}: {model.config.model_type} {reason}; expected hidden states and attention maps [T, T] of each layer: choose a model "
            "such as BERT, RoBERTa, XLM-R or RoFormer"
        )
