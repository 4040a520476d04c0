"""Examples with a teacher's ids → examples with union ids."""

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from data.examples import Alphabet, Example, flat_gold_table, gold_table
from pipeline.teacher.windows import Windows
from vocab.roles import UNION_ROLES, Roles
from vocab.union import TeacherMap, spell_out


@dataclass(frozen=True, kw_only=True, slots=True)
class Spelling:
    """The union ids that each id of a teacher becomes in an input: one, or several if other pieces spell a piece that was dropped."""

    lengths_V: NDArray[np.int64]
    starts_V: NDArray[np.int64]  # the place in `spelled` where the union ids of an id begin
    spelled: NDArray[np.uint32]  # [sum of lengths]
    one_to_one: bool

    @classmethod
    def of(cls, teacher_map: TeacherMap, longest: int) -> "Spelling":
        """The spelling of a map. An id that needs more than `longest` places becomes unk, because it would not fit into a window."""
        lengths_V, spelled = teacher_map.lengths, teacher_map.spelled
        long = np.repeat(lengths_V > longest, lengths_V)
        if long.any():
            first = np.zeros(len(spelled), dtype=np.bool_)
            first[np.cumsum(lengths_V) - lengths_V] = True
            spelled = np.where(long, np.uint32(UNION_ROLES.unk), spelled)[~long | first]
            lengths_V = np.where(lengths_V > longest, 1, lengths_V)
        one_to_one = bool((lengths_V == 1).all())
        return cls(lengths_V=lengths_V, starts_V=np.cumsum(lengths_V) - lengths_V, spelled=spelled, one_to_one=one_to_one)


def to_union(example: Example, teacher_map: TeacherMap, spelling: Spelling) -> Example:
    """The example in union ids: each id is spelled, and the masked positions move with their tokens.

    A masked position always stays one place, because ids that can be masked are never spelled by several pieces.
    """
    labels = teacher_map.union_ids[example.label_ids]
    if spelling.one_to_one:
        return replace(example, input_ids=spelling.spelled[example.input_ids], label_ids=labels)
    input_ids, lengths_T = spell_out(example.input_ids, spelling.lengths_V, spelling.starts_V, spelling.spelled)
    places_T = np.cumsum(lengths_T) - lengths_T
    return replace(
        example,
        input_ids=input_ids,
        mask_positions=places_T[example.mask_positions].astype(np.uint16),
        label_ids=labels,
    )


def union_table(examples: list[Example], windows: Windows, teacher_map: TeacherMap, spelling: Spelling) -> pa.Table:
    """The gold columns of examples, in union ids. windows: the same examples as arrays."""
    if not spelling.one_to_one:
        return gold_table([to_union(example, teacher_map, spelling) for example in examples])
    return flat_gold_table(
        examples,
        input_ids=spelling.spelled[windows.input_ids],
        lengths=windows.lengths_W,
        mask_positions=windows.mask_positions,
        label_ids=teacher_map.union_ids[windows.label_ids],
        masked=windows.masked_W,
    )


def window_alphabet(roles: Roles, teacher_map: TeacherMap, spelling: Spelling) -> Alphabet:
    """What masking needs to know about a teacher's vocabulary."""
    return Alphabet(roles=roles, maskable=teacher_map.predictable, lengths=None if spelling.one_to_one else spelling.lengths_V)
