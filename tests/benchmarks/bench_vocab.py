"""The union of four vocabularies of published size, and the rate of mapping teacher ids into it."""

import time

import numpy as np

from vocab.normaliser import Normaliser
from vocab.roles import Roles
from vocab.teacher_vocabulary import TeacherVocabulary
from vocab.union import merge_all

SIZES = {"cased": 28_996, "multilingual": 119_547, "chinese": 21_128, "spanish": 31_002}
IDS = 50_000_000
KEEPS = Normaliser(lowercase=False, strip_accents=False, split_chinese=True, clean_text=True)
ROLES = Roles(pad=0, unk=1, cls=2, sep=3, mask=4)


def vocabulary(name: str, size: int, chance: np.random.Generator) -> TeacherVocabulary:
    numbers = chance.choice(400_000, size - 5, replace=False)
    pieces = [None] * 5 + [f"##{number}" if number % 3 else f"w{number}" for number in numbers.tolist()]
    return TeacherVocabulary(name=name, pieces=pieces, roles=ROLES, normaliser=KEEPS, tokenizer_fingerprint=name)


def main() -> None:
    chance = np.random.default_rng(0)
    teachers = [vocabulary(name, size, chance) for name, size in SIZES.items()]
    clock = time.perf_counter()
    union, maps = merge_all(teachers)
    print(
        f"union of {' ∪ '.join(f'{size:,}' for size in SIZES.values())} → {union.size:,} pieces: {time.perf_counter() - clock:.2f} s"
    )
    print("\n| map | ids | M ids/s, one thread | of a plain copy |\n| --- | --- | --- | --- |")
    for teacher_map in maps[:2]:
        # as in text: few pieces are most of it (Zipf)
        ids = np.minimum(chance.zipf(1.2, IDS), len(teacher_map.union_ids) - 1).astype(np.uint32)
        out = np.empty(IDS, dtype=np.uint32)
        rates = []
        for work in (lambda ids=ids, out=out: np.copyto(out, ids), lambda ids=ids, table=teacher_map.union_ids: table[ids]):
            work()
            clock = time.perf_counter()
            work()
            rates.append(IDS / (time.perf_counter() - clock) / 1e6)
        print(f"| {teacher_map.teacher} | {IDS:,} | {rates[1]:.0f} | {rates[1] / rates[0]:.2f} |")


if __name__ == "__main__":
    main()
