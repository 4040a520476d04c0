"""The teacher of phase 1: a frozen masked LM that gives its states, for a language with that language's sparse fine-tuning."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from data.sparse_file import SparseFile
from student.bilingual.sparse_model import applied
from student.bilingual.state_losses import States
from student.tasks.models import open_model, refuse_missing


def open_with_states(folder: Path) -> Any:
    """The masked LM of a folder in float32, computing its attention in the way that gives the maps ("eager")."""
    model, missing = open_model(folder, "AutoModelForMaskedLM", {"attn_implementation": "eager"})
    refuse_missing(folder, missing, "a masked LM")
    return model


@dataclass(frozen=True, kw_only=True)
class Teacher:
    """A multilingual model, and what changes it while a batch of one language runs."""

    model: Any
    sparse: Mapping[str, SparseFile] = field(default_factory=dict)

    def reading(self, language: str) -> AbstractContextManager[None]:
        """Inside of this block the model has the language's sparse fine-tuning; after it, exactly the weights of before."""
        found = self.sparse.get(language)
        return applied(self.model, found) if found else nullcontext()

    @torch.no_grad()
    def states(self, input_ids_BT: Tensor, mask_BT: Tensor) -> States:
        """Its states for some windows."""
        return states_of(self.model, input_ids_BT, mask_BT)


def states_of(model: Any, input_ids_BT: Tensor, mask_BT: Tensor) -> States:
    """The hidden states and attention maps of a model's encoder."""
    return States.of(
        model.base_model(
            input_ids=input_ids_BT, attention_mask=mask_BT, output_hidden_states=True, output_attentions=True, return_dict=True
        )
    )
