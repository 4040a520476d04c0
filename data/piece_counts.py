"""How often each piece of the union occurs in the text of a cache of predictions. The text is counted as it was before masking."""

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from data.shards import Shard, leaf, open_shard
from vocab.errors import InputError, first_line

_COLUMNS = ["window", "input_ids", "mask_positions", "label_ids"]


def count_pieces(
    shards: Sequence[Shard], union_size: int, *, on_shard: Callable[[], None] = lambda: None
) -> dict[tuple[str, str], NDArray[np.int64]]:
    """(teacher, language) → how often each union id occurs [V]. A window with several maskings is counted once.

    The gold labels are put back first, because masks and random replacements are not part of the text.
    """
    counts: dict[tuple[str, str], NDArray[np.int64]] = {}
    for shard in shards:
        count = counts.setdefault((shard.path.teacher, shard.path.language), np.zeros(union_size, dtype=np.int64))
        maskings = int(shard.identity["examples.maskings"])
        with open_shard(shard.location) as file:
            for group in range(file.num_row_groups):
                try:
                    table = file.read_row_group(group, columns=_COLUMNS)
                    ids = original_ids(table.filter(pa.array(table["window"].to_numpy() % maskings == 0)))
                    count += np.bincount(ids, minlength=union_size)
                except (OSError, ValueError, IndexError, pa.ArrowException) as error:
                    raise InputError(
                        f"{shard.location}: row group {group} is damaged ({first_line(error)}); run `mergedistill validate`"
                    ) from None
        on_shard()
    return counts


def original_ids(table: pa.Table) -> NDArray[np.uint32]:
    """The union ids of all rows with the gold labels put back, without the special tokens at both ends of each row."""
    table = table.combine_chunks()
    ids, starts = leaf(table["input_ids"])
    positions, masks = leaf(table["mask_positions"])
    labels, _ = leaf(table["label_ids"])
    ids = ids.copy()
    rows = np.repeat(np.arange(table.num_rows), np.diff(masks))
    ids[starts[rows] + positions[masks[0] : masks[-1]]] = labels[masks[0] : masks[-1]]
    inside = np.zeros(len(ids), dtype=np.bool_)
    inside[starts[0] : starts[-1]] = True
    inside[starts[:-1]] = inside[starts[1:] - 1] = False
    return ids[inside]
