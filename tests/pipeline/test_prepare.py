"""`prepare` as a job: its shards, its failures, two jobs at once, memory."""

import bz2
import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from data.articles import SCHEMA, read_articles
from pipeline.beam import staging
from pipeline.corpus import stage_part
from pipeline.corpus.dump_parts import parts_of
from pipeline.corpus.read import read_part
from pipeline.corpus.stage_part import is_heldout
from pipeline.prepare import prepare, shard_names
from tests.support.dumps import GOOD, TWO_PROCESSES, doc, dump, page, prepare_all, tree
from tests.support.paths import ROOT
from vocab.errors import InputError


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    for part, first in (("AA", 1), ("AB", 101)):
        (folder / part).mkdir(parents=True)
        texts = (doc(number, f"{part} " * (number % 100)) for number in range(first, first + 12))
        (folder / part / "wiki_00").write_text("".join(texts))
    (folder / "d.xml.bz2").write_bytes(bz2.compress(dump(page(50, "Text."), page(51, "#REDIRECT [[x]]")).encode()))
    return folder


def test_prepare(corpus: Path, tmp_path: Path) -> None:
    report = prepare_all([corpus], tmp_path / "out", shard_articles=5, heldout_percent=20)
    assert not list((tmp_path / "out").glob(".*"))
    assert sorted(report.shards) == sorted(name for name in tree(tmp_path / "out") if name.endswith(".parquet"))
    kept = [row for shard in report.shards if "/" not in shard for row in read_articles(str(tmp_path / "out" / shard))]
    heldout = [row for shard in report.shards if "/" in shard for row in read_articles(str(tmp_path / "out" / shard))]
    assert (len(kept), len(heldout)) == (report.articles, report.heldout_articles)
    assert len(kept) + len(heldout) == 25
    assert heldout
    assert all(is_heldout("de", doc_id, 20) for doc_id, _ in heldout)
    assert not any(is_heldout("de", doc_id, 20) for doc_id, _ in kept)
    assert report.characters == sum(len(text) for _, text in kept + heldout)
    assert {shard.rsplit("-", 1)[0].removeprefix("heldout/") for shard in report.shards} == {"AA-wiki_00", "AB-wiki_00", "in-d"}
    shard = pq.ParquetFile(tmp_path / "out" / "AA-wiki_00-00000.parquet", page_checksum_verification=True)
    assert shard.schema_arrow == SCHEMA
    assert shard.read().num_rows == 5
    assert json.loads((tmp_path / "out" / "_prepare.json").read_text())["skipped"] == {"redirect": 1}


def test_the_same_bytes_in_two_processes(corpus: Path, tmp_path: Path) -> None:
    prepare_all([corpus], tmp_path / "one", shard_articles=5, heldout_percent=20)
    prepare_all([corpus], tmp_path / "two", shard_articles=5, heldout_percent=20, beam_args=TWO_PROCESSES)
    assert tree(tmp_path / "one") == tree(tmp_path / "two")


def test_row_groups_and_uri(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("\n\n".join(str(number) for number in range(2500)))
    prepare([f"file://{tmp_path}/a.txt"], "de", f"file://{tmp_path}/out", show_progress=False)
    metadata = pq.ParquetFile(tmp_path / "out" / "a-00000.parquet").metadata
    assert [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)] == [1000, 1000, 500]


@pytest.mark.parametrize("beam_args", [[], TWO_PROCESSES], ids=["in process", "two processes"])
def test_a_bad_file_leaves_nothing(corpus: Path, tmp_path: Path, beam_args: list[str]) -> None:
    (corpus / "z.xml").write_bytes(GOOD[:-200])
    with pytest.raises(InputError, match="is cut") as raised:
        prepare_all([corpus], tmp_path / "out", beam_args=beam_args)
    assert "while running" not in str(raised.value)
    assert not (tmp_path / "out").exists()


def test_a_bug_keeps_its_traceback_and_leaves_nothing(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage_part, "is_heldout", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        prepare_all([corpus], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_full_disk(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(stage_part.pq.ParquetWriter, "write_table", full)  # type: ignore[attr-defined]
    with pytest.raises(
        InputError, match=r"^no space left on device while writing .*out; free space or choose another --out; nothing"
    ):
        prepare_all([corpus], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_failure_while_publishing_takes_everything_back(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("power")

    real = staging.write_text  # type: ignore[attr-defined]
    monkeypatch.setattr(staging, "write_text", lambda path, text: fail() if path.endswith(staging.REPORT) else real(path, text))
    with pytest.raises(RuntimeError, match="power"):
        prepare_all([corpus], tmp_path / "out", heldout_percent=20)
    assert not (tmp_path / "out").exists()


KILLED_WHILE_PUBLISHING = """
import os, signal, sys
from pipeline.beam import staging
from pipeline.prepare import prepare
real = staging.write_text
staging.write_text = lambda path, text: os.kill(os.getpid(), signal.SIGKILL) if path.endswith("_prepare.json") else real(path, text)
prepare([sys.argv[1]], "de", sys.argv[2], heldout_percent=20, show_progress=False)
"""


def test_a_killed_job_is_cleared_away_by_the_next(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    environment = dict(os.environ, PYTHONPATH=str(ROOT))
    killed = subprocess.run([sys.executable, "-c", KILLED_WHILE_PUBLISHING, corpus, out], env=environment, check=False)
    assert killed.returncode == -9
    assert list(out.glob("*.parquet"))
    assert not (out / "_prepare.json").exists()
    for left in ("._prepare.json.0a1b2c3d.partial", "._quarantine.jsonl.0a1b2c3d.partial"):
        (out / left).write_text("{")
    prepare_all([corpus], out, heldout_percent=20)
    assert not [*out.glob(".*")]
    prepare_all([corpus], tmp_path / "fresh", heldout_percent=20)
    assert tree(out) == tree(tmp_path / "fresh")


def test_refusals(corpus: Path, tmp_path: Path) -> None:
    prepare_all([corpus], tmp_path / "out")
    before = tree(tmp_path / "out")
    with pytest.raises(InputError, match="already holds 3 shards"):
        prepare_all([corpus], tmp_path / "out")
    assert tree(tmp_path / "out") == before
    (tmp_path / "file").write_text("x")
    for out, options, message in (
        (tmp_path / "file", {}, "is a file"),
        (tmp_path / "file" / "below", {}, "cannot be created"),
        (tmp_path / "new", {"heldout_percent": 100}, "held-out percent"),
        (tmp_path / "new", {"shard_articles": 0}, "articles a shard"),
        (tmp_path / "new", {"beam_args": ["--directnum_workers=2"]}, "'--directnum_workers=2', which Beam does not know"),
        (tmp_path / "new", {"beam_args": ["--direct_num_workers=two"]}, "invalid int value: 'two'"),
        (tmp_path / "new", {"beam_args": ["--runner=NoRunner"]}, "NoRunner"),
    ):
        with pytest.raises(InputError, match=message):
            prepare_all([corpus], out, **options)
        assert not (tmp_path / "new").exists()
    (tmp_path / "nothing").mkdir()
    with pytest.raises(InputError, match="holds no file"):
        prepare_all([tmp_path / "nothing"], tmp_path / "new")


def test_two_jobs_do_not_write_to_one_folder(corpus: Path, tmp_path: Path) -> None:
    with staging.lock_folder(str(tmp_path / "out")), pytest.raises(InputError, match="another prepare is writing here"):
        prepare_all([corpus], tmp_path / "out")


def test_shard_names() -> None:
    assert set(shard_names(["/x/a.xml.bz2", "/x/b.jsonl.gz"]).values()) == {"a", "b"}
    assert set(shard_names(["/x/a.xml", "/x/a.txt"]).values()) == {"a.xml", "a.txt"}
    assert set(shard_names(["/x/AA/wiki_00", "/x/AB/wiki_00"]).values()) == {"AA-wiki_00", "AB-wiki_00"}
    assert set(shard_names(["/p/x/wiki_00", "/q/x/wiki_00"]).values()) == {"p-x-wiki_00", "q-x-wiki_00"}


PEAK_MEMORY = """
import sys
from pipeline.corpus.read import read_corpus
def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
articles = read_corpus(sys.argv[1], print)
next(articles)
before = peak()
for article in articles:
    pass
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_is_bounded_by_one_page(tmp_path: Path) -> None:
    """Measured in a process of its own; not by getrusage, whose peak is inherited from the parent."""
    path = tmp_path / "a.xml.bz2"
    path.write_bytes(bz2.compress(dump(*(page(number, f"{number} word " * 1500) for number in range(1000))).encode(), 1))
    environment = dict(os.environ, PYTHONPATH=str(ROOT))
    done = subprocess.run([sys.executable, "-c", PEAK_MEMORY, path], env=environment, check=True, capture_output=True)
    assert int(done.stdout) < 10_000  # KiB, of a dump of 16 MB


def test_reading_starts_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(dump(*(page(number, "word " * 500) for number in range(5000))))
    path = str(tmp_path / "a.xml")
    read: list[int] = []
    first = next(read_part(parts_of(path, "a")[0], print, advanced=read.append))
    assert first.id == "0"
    assert read[-1] < Path(path).stat().st_size / 4
