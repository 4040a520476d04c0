"""Small MediaWiki dumps, and prepare on one of them."""

import bz2
import hashlib
from itertools import pairwise
from pathlib import Path

from pipeline.corpus.report import PrepareReport
from pipeline.prepare import prepare

TWO_PROCESSES = ["--direct_num_workers=2", "--direct_running_mode=multi_processing"]


def page(number: int, text: str, *, title: str = "", ns: str = "<ns>0</ns>", more: str = "") -> str:
    return (
        f"<page><title>{title or f'Page {number}'}</title>{ns}<id>{number}</id>{more}"
        f"<revision><id>9</id><model>wikitext</model><text>{text}</text></revision></page>"
    )


def dump(*pages: str) -> str:
    info = (
        "<siteinfo><base>https://de.wikipedia.org/wiki/Start</base><namespaces>"
        "<namespace key='0' /><namespace key='6'>Datei</namespace><namespace key='10'>Vorlage</namespace></namespaces></siteinfo>"
    )
    return f"<mediawiki xmlns='http://www.mediawiki.org/xml/export-0.10/' xml:lang='de'>{info}{''.join(pages)}</mediawiki>"


def tree(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def compressed(xml: str, cuts: list[int]) -> bytes:
    """The dump as bz2 streams that end at these bytes."""
    content = xml.encode()
    bounds = [0, *sorted(cuts), len(content)]
    return b"".join(bz2.compress(content[begin:end]) for begin, end in pairwise(bounds))


def multistream(xml: str, pages: int) -> bytes:
    """As Wikipedia has it: the header, `pages` pages a stream, and the end tag, each a stream of its own."""
    content = xml.encode()
    starts = [at for at in range(len(content)) if content.startswith(b"<page>", at)]
    return compressed(xml, [*starts[::pages], content.index(b"</mediawiki>")])


def prepare_dump(path: Path, out: Path, **options: object) -> PrepareReport:
    return prepare([str(path)], "de", str(out), show_progress=False, **options)  # type: ignore[arg-type]


def doc(number: int, text: str) -> str:
    return (
        f'<doc id="{number}" url="https://x.org/?curid={number}" title="T &quot;{number}&quot;">\nT "{number}"\n\n{text}\n</doc>\n'
    )


GOOD = dump(*(page(number, "word " * 2000) for number in range(3))).encode()


def prepare_all(inputs: list[Path], out: Path, **options: object) -> PrepareReport:
    return prepare([str(path) for path in inputs], "de", str(out), show_progress=False, **options)  # type: ignore[arg-type]
