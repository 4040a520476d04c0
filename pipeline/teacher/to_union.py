"""Examples from a teacher's ids to union ids."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from data.examples import Alphabet, Example
from vocab.roles import UNION_ROLES, Roles
from vocab.union import TeacherMap, spell_out


@dataclass(frozen=True, kw_only=True, slots=True)
class Spelling:
    """The union ids that each id of a teacher becomes in an input: one, but for a dropped piece that kept pieces spell."""

    lengths_V: NDArray[np.int64]
    starts_V: NDArray[np.int64]  # where an id's union ids begin in `spelled`
    spelled: NDArray[np.uint32]  # [sum of lengths]
    one_to_one: bool

    @classmethod
    def of(cls, teacher_map: TeacherMap, longest: int) -> "Spelling":
        """A map's spelling. What takes more than `longest` places is unk: a window of the student could not hold it."""
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
    """The example in union ids: each id spelled out, the masked positions moved to where their tokens come to stand.

    A masked position stays one place, whatever stands there (mask, random id, gold id): maskable ids are never spelled out.
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


def window_alphabet(roles: Roles, teacher_map: TeacherMap, spelling: Spelling) -> Alphabet:
    """What masking needs to know of a teacher's vocabulary."""
    return Alphabet(roles=roles, maskable=teacher_map.predictable, lengths=None if spelling.one_to_one else spelling.lengths_V)
