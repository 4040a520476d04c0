"""The contract's rules for the schema and the footer of a shard: columns, types, identity, unit and report."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import TypeAdapter, ValidationError

from data.contract import CHECKSUM_KEY, IDENTITY_KEY, REPORT_KEY, SCHEMA, SCHEMA_VERSION, UNIT_KEY, ShardPath
from data.recipe import Examples, Language, Name, Predict
from data.shards import OTHER_VERSION, checksum_holds

# (rule, column or field, found, expected)
FrameFault: TypeAlias = tuple[str, str | None, str, str]

# How a reader without Arrow sees the types of the contract. The values of a list are one level deeper.
_PARQUET = {
    pa.string(): ("BYTE_ARRAY", ("String",)),
    pa.int32(): ("INT32", ("None", "Int(bitWidth=32, isSigned=true)")),
    pa.uint32(): ("INT32", ("Int(bitWidth=32, isSigned=false)",)),
    pa.uint16(): ("INT32", ("Int(bitWidth=16, isSigned=false)",)),
    pa.float32(): ("FLOAT", ("None",)),
}

Test: TypeAlias = tuple[Callable[[Any], bool], str]


def _integer(low: int) -> Test:
    return lambda value: type(value) is int and value >= low, f"an integer, {low} or more"


def _setting(model: Any, key: str) -> Test:
    # The rules of the recipe, so that both accept the same values.
    field = model.model_fields[key]

    def legal(value: Any) -> bool:
        try:
            model.model_validate({key: value}, strict=True)
        except ValidationError:
            return False
        return True

    return legal, f"what a recipe allows for {key}, as {field.default!r}"


_TEXT: Test = (lambda value: isinstance(value, str) and bool(value), "a text")
_SHA256: Test = (lambda value: isinstance(value, str) and bool(re.fullmatch("[0-9a-f]{64}", value)), "a sha256 in hexadecimal")


def _are_counts(value: Any) -> bool:
    return isinstance(value, dict) and all(type(count) is int and count >= 0 for count in value.values())


def _are_rates(value: Any) -> bool:
    rates = value if isinstance(value, list) else [value]
    return bool(rates) and all(type(rate) is float and 0 < rate < 1 for rate in rates)


FIELDS: dict[bytes, dict[str, Test]] = {
    IDENTITY_KEY: {
        "schema_version": (
            lambda value: type(value) is int and value == SCHEMA_VERSION,
            f"{SCHEMA_VERSION}: {OTHER_VERSION}",
        ),
        "top_k": _setting(Predict, "top_k"),
        "logits": _setting(Predict, "logits"),
        "dtype": _setting(Predict, "dtype"),
        "seed": _integer(0),
        **{f"examples.{key}": _setting(Examples, key) for key in Examples.model_fields if key not in ("maskings", "mask_rate")},
        "examples.maskings": _integer(1),
        "examples.mask_rate": (_are_rates, "a share of tokens, or one for each masking"),
        "union": _SHA256,
        "teacher.tokenizer": _SHA256,
        "teacher.weights": _SHA256,
    },
    UNIT_KEY: {
        "teacher": _TEXT,
        "language": _TEXT,
        "corpus": _TEXT,
        "corpus_fingerprint": _SHA256,
        "first_row_group": _integer(0),
        "row_groups": _integer(1),
        "articles": _integer(0),
    },
    REPORT_KEY: {
        "rows": _integer(0),
        "masked_positions": _integer(0),
        "counters": (_are_counts, "an object of counts"),
    },
}


def check_schema(file: pq.ParquetFile) -> Iterator[FrameFault]:
    """Check the columns, their order and their types, in Arrow and in Parquet."""
    found = file.schema_arrow
    for name in SCHEMA.names:
        if found.names.count(name) != 1:
            yield "schema.columns", name, f"{found.names.count(name)} columns of this name", "one"
    for name in found.names:
        if name not in SCHEMA.names:
            yield "schema.columns", name, "a column of this name", f"none but {', '.join(SCHEMA.names)}"
    if sorted(found.names) != sorted(SCHEMA.names):
        return
    if found.names != SCHEMA.names:
        yield "schema.order", None, ", ".join(found.names), ", ".join(SCHEMA.names)
    leaves = {file.schema.column(index).path.split(".")[0]: file.schema.column(index) for index in range(len(file.schema))}
    for field in SCHEMA:
        seen, leaf = found.field(field.name), leaves[field.name]
        is_list = pa.types.is_list(field.type)
        physical, logical = _PARQUET[field.type.value_type if is_list else field.type]
        path = f"{field.name}.list.element" if is_list else field.name
        if _describe(seen) != _describe(field):  # pyarrow's comparison ignores the name of the nested field
            yield "schema.type", field.name, _describe(seen), _describe(field)
        elif leaf.path != path:
            yield "schema.type", field.name, f"Parquet path {leaf.path}", path
        elif (
            leaf.physical_type != physical
            or str(leaf.logical_type) not in logical
            or (leaf.max_definition_level, leaf.max_repetition_level) != (is_list, is_list)
        ):
            yield "schema.type", field.name, f"Parquet {leaf.physical_type} {leaf.logical_type}", f"{physical} {logical[0]}"


def _describe(field: pa.Field) -> str:
    return f"{field.type}{'' if field.nullable else ' not null'}"


def read_footer(footer: pq.FileMetaData, faults: list[FrameFault]) -> dict[bytes, dict[str, Any] | None]:
    """Identity, unit and report by footer key, None where one is missing or wrong. Faults are added to `faults`."""
    metadata: Mapping[bytes, bytes] = footer.metadata or {}
    parts: dict[bytes, dict[str, Any] | None] = {}
    for key, fields in FIELDS.items():
        parts[key] = None
        short = key.decode().rpartition(".")[2]
        if key not in metadata:
            faults.append(("footer.missing", short, f"no metadata '{key.decode()}'", "JSON, as `mergedistill predict` writes it"))
            continue
        try:
            content = json.loads(metadata[key])
        except (ValueError, RecursionError) as error:
            faults.append(("footer.json", short, f"no JSON: {error}", "a JSON object"))
            continue
        if not isinstance(content, dict):
            faults.append(("footer.json", short, f"JSON of the type {type(content).__name__}", "a JSON object"))
            continue
        wrong = [(name, test) for name, test in fields.items() if name not in content or not test[0](content[name])]
        for name, (_, expected) in wrong:
            rule = "footer.version" if name == "schema_version" and name in content else "footer.field"
            faults.append((rule, f"{short}.{name}", repr(content[name]) if name in content else "nothing", expected))
        rates = content.get("examples.mask_rate") if key == IDENTITY_KEY else None
        if isinstance(rates, list) and len(rates) != content.get("examples.maskings"):
            wrong.append(("examples.mask_rate", _TEXT))
            faults.append(("footer.field", f"{short}.examples.mask_rate", f"{len(rates)} rates", "one for each masking"))
        if key == IDENTITY_KEY and content.get("selection", "sampled") != "sampled":
            wrong.append(("selection", _TEXT))
            faults.append(("footer.field", f"{short}.selection", repr(content["selection"]), "'sampled', or no such field (top k)"))
        if not wrong:
            parts[key] = content
    if CHECKSUM_KEY not in metadata:
        faults.append(
            ("footer.missing", "checksum", f"no metadata '{CHECKSUM_KEY.decode()}'", "a sha256 of the rest of the footer")
        )
    elif not any(rule in ("footer.missing", "footer.json") for rule, *_ in faults) and not checksum_holds(footer):
        faults.append(("footer.checksum", "checksum", metadata[CHECKSUM_KEY].decode(errors="replace"), "the sha256 of the footer"))
    return parts


def check_path(path: ShardPath, unit: Mapping[str, Any] | None) -> Iterator[FrameFault]:
    """Check the path of a shard: simple partition keys that agree with the unit in its footer."""
    for key, kind in (("language", Language), ("teacher", Name)):
        value = getattr(path, key)
        try:
            TypeAdapter(kind).validate_python(value)
        except ValidationError:
            yield "file.path", key, f"{key}={value}", f"a {key} as a recipe may name it"
        if unit is not None and unit[key] != value:
            yield "unit.path", f"unit.{key}", f"{unit[key]!r} in the footer", f"{value!r}, as its path says"
    if unit is not None:
        shard, _, number = path.name.rpartition(
            "-"
        )  # a finished unit is recognised by this name; with another name it would be computed again
        if not (number.isdecimal() and int(number) == unit["first_row_group"]):
            found = f"{unit['first_row_group']} in the footer"
            yield "file.name", "unit.first_row_group", found, f"the number that ends the name {path.name}"
        elif PurePosixPath(unit["corpus"]).name.removesuffix(".parquet") != shard:
            yield (
                "file.name",
                "unit.corpus",
                f"{unit['corpus']!r} in the footer",
                f"an input shard called {shard}, as the name says",
            )
