"""Storage: paths and URIs name the same files; what is written is there whole or not at all."""

from pathlib import Path

import pytest

from data.atomic import replace_folder, write_atomically, write_text
from data.storage import expand, join, relative, resolve, split, without_options
from data.storage_faults import storage_fault
from vocab.errors import InputError


def test_a_uri_and_a_path_name_the_same_files(tmp_path: Path) -> None:
    """No wildcard crosses a folder: held-out articles below a corpus must not be in it."""
    for name in ("a.parquet", "heldout/h.parquet", "b.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    for pattern in ("", "/*.parquet", "/a.parquet", "/[a]*.parquet"):
        local = expand(f"{tmp_path}{pattern}")
        assert local == [str(tmp_path / "a.parquet")]
        assert expand(f"file://{tmp_path}{pattern}") == [f"file://{name}" for name in local]
    with pytest.raises(InputError, match="expected a path, or a URI that"):
        expand("nosuch://bucket/a.parquet")


def test_the_options_of_a_uri_stay_behind_its_path(tmp_path: Path) -> None:
    """Object stores' own tools take a path as it stands, and so do we: no sign in it is an escape, a space is a space."""
    folder = "s3://bucket/a %20#ü?endpoint_override=http://127.0.0.1:9000&region=here"
    file = join(folder, "language=de", "b.parquet")
    assert file == "s3://bucket/a %20#ü/language=de/b.parquet?endpoint_override=http://127.0.0.1:9000&region=here"
    assert split(file) == (join(folder, "language=de"), "b.parquet")
    assert relative(file, folder) == "language=de/b.parquet"
    assert without_options(file) == "s3://bucket/a %20#ü/language=de/b.parquet"
    assert resolve(file)[1] == "bucket/a %20#ü/language=de/b.parquet"
    assert split("/a?b/c?d") == ("/a?b", "c?d")  # on a local disk "?" is a letter
    odd = tmp_path / "a %20#ü"
    write_text(f"file://{odd}/a.parquet", "text")
    assert expand(f"file://{odd}/*.parquet") == [f"file://{odd}/a.parquet"]
    assert (odd / "a.parquet").read_text() == "text"


def test_a_failed_write_leaves_what_stood(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "first")

    def fail(_: object) -> None:
        raise RuntimeError("the disk is on fire")

    with pytest.raises(RuntimeError):
        write_atomically(tmp_path / "a.txt", fail)
    with pytest.raises(RuntimeError):
        write_atomically(tmp_path / "a.txt", lambda out: out.write(b"second"), check=fail)
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "first"


def test_a_folder_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    replace_folder(tmp_path / "f", lambda folder: (folder / "one").touch())

    def fail(folder: Path) -> None:
        (folder / "two").touch()
        raise RuntimeError("the disk is on fire")

    with pytest.raises(RuntimeError):
        replace_folder(tmp_path / "f", fail)
    assert [path.name for path in tmp_path.rglob("*")] == ["f", "one"]
    # What a kill between the two renames leaves: the next call starts from the old folder.
    (tmp_path / "f").rename(tmp_path / ".f.old")
    replace_folder(tmp_path / "f", lambda folder: (folder / "three").touch())
    assert [path.name for path in tmp_path.rglob("*")] == ["f", "three"]


def test_what_object_stores_say_is_a_line() -> None:
    """As Arrow words them: with a code, without one, and without a message."""
    for text in (
        "When reading x: AWS Error ACCESS_DENIED during HeadObject operation: Access Denied. (Request ID: 1)",
        "AWS Error UNKNOWN (HTTP status 301) during HeadObject operation: No response body.",
        "AWS Error NETWORK_CONNECTION during PutObject operation: ",
    ):
        fault = storage_fault("s3://bucket/x", OSError(text))
        assert fault is not None
        assert str(fault).startswith("s3://bucket/x: the storage refused or did not answer (")
        assert "\n" not in str(fault)
    assert storage_fault("x", OSError("Corrupt snappy compressed data.")) is None
