"""`sparse`: what to do with the files of sparse fine-tunings: show them, add them to their base, add them up, compare them.

A sparse fine-tuning is a file of differences from a base model (see `data.sparse_file`). Differences of one base can be added: θ0 +
φ_language + φ_task is the model of a task in a language (LT-SFT, Ansell et al., ACL 2022, section 3).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import transformers

from data.atomic import replace_folder, require_new_folder
from data.sparse_file import SparseFile, read_sparse, write_sparse
from data.sparse_sums import added_up, agreements, only_task, require_one_base
from data.table import Column, Table, Value
from student.bilingual.sparse_model import add_sparse, base_fingerprints, load_head, untie
from student.hf_folder import copy_tokenizer, quiet, save_model
from vocab.errors import InputError
from vocab.model_source import NO_CODE, load_fault, model_folder

_LARGEST = 3  # parameters that `info` names


def info(files: Sequence[Path]) -> Table:
    """What the files hold: a row for each, and a note with the parameters that have most of its entries."""
    contents = {file: read_sparse(file) for file in files}
    rows, notes = [], []
    for file, content in contents.items():
        header = content.header
        rows.append((*_described(file, content), header.k, header.density, header.head or None, header.base))
        largest = sorted(content.indices.items(), key=lambda item: -len(item[1]))[:_LARGEST]
        parts = ", ".join(f"{name} {len(places):,}" for name, places in largest) or "no entry"
        notes.append(f"{file}: {parts}; {len(content.shapes)} parameters and {len(content.dense)} tensors of a head")
    columns = (*_DESCRIPTION, Column("k", ",d"), Column("density", ".2%"), Column("head"), Column("base"))
    return Table(title="Sparse fine-tunings", columns=columns, rows=rows, notes=notes)


def apply(model: str, files: Sequence[Path], out: Path) -> Table:
    """Write the model to which all files were added: an HF folder, in float32, with the base's tokenizer.

    model  folder or Hub id of the base
    files  at most one of a task. With it, the folder has the task's head and labels; else a masked LM whose output keeps the base's
           embeddings (see `untie`)

    Raises InputError for files of another base, two heads, a model that lacks weights, and a folder that is not empty.
    """
    require_new_folder(out)
    folder = model_folder(model, base=Path(), name=None, weights=True)
    weights, tokenizer = base_fingerprints(folder)
    _refuse_twice(files)
    contents = {file: read_sparse(file, base_weights=weights, base_tokenizer=tokenizer) for file in files}
    task = only_task(contents)
    header = task.header if task else None
    found, auto_class = _open(folder, task)
    if task:
        load_head(found, task)
    else:
        untie(found)
    for content in contents.values():
        add_sparse(found, content)

    def fill(fresh: Path) -> None:
        copy_tokenizer(folder, fresh)
        save_model(found, fresh)
        _check_saved(folder, fresh, found, auto_class)

    replace_folder(out, fill)
    what = f"{header.task} in {len(header.labels)} labels" if header and header.labels else header.task if header else "a masked LM"
    return Table(
        title="Model",
        columns=_DESCRIPTION,
        rows=[_described(file, content) for file, content in contents.items()],
        result=f"{out}: {model} with these differences, for {auto_class} ({what})",
        facts={"out": str(out), "class": auto_class},
    )


def merge(files: Sequence[Path], out: Path) -> Table:
    """Write one file with the sum of the differences, and the head of the one task among the files.

    Raises InputError for files of different bases, two heads, fewer than two files, and a file that exists.
    """
    if out.exists():
        raise InputError(f"{out}: exists; expected a new file: choose another --out, or remove it")
    if len(files) < 2:
        raise InputError(f"found {len(files)} file; expected two or more, to add them up")
    _refuse_twice(files)
    contents = {file: read_sparse(file) for file in files}
    merged = added_up(contents)
    write_sparse(out, merged)
    rows = [_described(file, content) for file, content in (*contents.items(), (out, merged))]
    result = f"{out}: the sum, {merged.entries:,} entries, {merged.header.density:.2%} of the parameters"
    return Table(title="Sum", columns=_DESCRIPTION, rows=rows, result=result, facts={"out": str(out), "entries": merged.entries})


def diff(first: Path, second: Path) -> Table:
    """How two sparse fine-tunings of one base agree: a row for each part of the model, and one for all. Heads are not compared.

    overlap    entries in both, as a share of those in one or both (Jaccard)
    cosine     of the differences at the entries in both
    same sign  share of the entries in both
    """
    contents = {path: read_sparse(path) for path in (first, second)}
    if len(contents) == 1:
        raise InputError(f"{first}: given twice; expected two files to compare")
    require_one_base(contents)
    rows = [
        (row.part, row.first, row.second, row.shared, row.overlap, row.cosine, row.same_sign)
        for row in agreements(*contents.values())
    ]
    columns = (
        Column("part"),
        Column("entries A", ",d"),
        Column("entries B", ",d"),
        Column("in both", ",d"),
        Column("overlap", ".1%"),
        Column("cosine", ".3f"),
        Column("same sign", ".1%"),
    )
    notes = [f"A: {first}", f"B: {second}", "overlap: in both / in one or both; cosine and sign: of the differences in both"]
    return Table(title="Agreement", columns=columns, rows=rows, notes=notes)


_DESCRIPTION = (Column("file"), Column("kind"), Column("language"), Column("task"), Column("entries", ",d"))


def _described(file: Path, content: SparseFile) -> tuple[Value, ...]:
    header = content.header
    return str(file), header.kind, header.language or None, header.task or None, content.entries


def _refuse_twice(files: Sequence[Path]) -> None:
    seen: set[Path] = set()
    for file in files:
        if file.resolve() in seen:
            raise InputError(f"{file}: given twice, and would be added twice; expected different files: leave one out")
        seen.add(file.resolve())


def _open(folder: Path, task: SparseFile | None) -> tuple[Any, str]:
    """The base in float32, with a head of the task's class if there is a task; and the name of its class."""
    auto_class = task.header.head if task else "AutoModelForMaskedLM"
    options: dict[str, Any] = {}
    if task and task.header.labels:
        labels = task.header.labels
        options = {"num_labels": len(labels), "id2label": dict(enumerate(labels))}
        options["label2id"] = {label: place for place, label in enumerate(labels)}
    if not auto_class.startswith("AutoModelFor") or not hasattr(transformers, auto_class):
        raise InputError(f"found the head '{auto_class}'; expected a class of transformers, as AutoModelForTokenClassification")
    try:
        with quiet():
            model, loading = getattr(transformers, auto_class).from_pretrained(
                folder, output_loading_info=True, **options, **NO_CODE
            )
    except Exception as error:  # each architecture fails in its own way
        raise InputError(f"{folder}: cannot be opened as {auto_class} ({load_fault(error)}); expected the base model") from None
    if missing := sorted(loading["missing_keys"] - (task.dense.keys() if task else set())):
        raise InputError(
            f"{folder}: lacks {len(missing)} weights ({missing[0]}, …), which would be random; expected all: save it again"
        )
    return model.float(), auto_class


def _check_saved(folder: Path, fresh: Path, model: Any, auto_class: str) -> None:
    """Raise InputError if the saved model does not load as it is: some architectures tie weights whatever the configuration says."""
    with quiet():
        loaded = getattr(transformers, auto_class).from_pretrained(fresh, **NO_CODE)
    found = dict(loaded.named_parameters(remove_duplicate=False))
    for name, parameter in model.named_parameters(remove_duplicate=False):
        if name not in found or not torch.equal(found[name], parameter):
            raise InputError(
                f"{folder}: a model of the type '{model.config.model_type}' cannot be saved with untied embeddings ({name} comes back as "
                "another); expected an encoder as BERT or XLM-R"
            )
