"""WikiExtractor output → articles: text between <doc> and </doc>, or JSONL."""

import html
import io
import json
import re
from collections.abc import Callable, Iterator

from data.articles import Article
from pipeline.corpus.corpus_file import UnreadableInput, text_lines
from pipeline.corpus.mediawiki import UNPARSEABLE, QuarantinedPage
from pipeline.corpus.wikitext_tidy import tidy_brackets

# An escape ends with a semicolon: "?a=1&section=2" is an address and no "§".
_ESCAPED = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|\w{2,31});")
# The order of the attributes varies between versions, and a title may hold quotes.
_ATTRIBUTE = re.compile(r'\b(id|url|title)="(.*?)"(?=\s+\w+="|\s*>$)')


def read_docs(
    stream: io.BufferedReader, skipped: Callable[[str], None], quarantined: Callable[[QuarantinedPage], None]
) -> Iterator[Article]:
    """The articles between <doc id= url= title=> and </doc>. The first line is dropped if it repeats the title.

    A page whose text quotes <doc …> or </doc> cannot be told from its neighbours' marks: it is set aside with `quarantined`.
    """
    opened, attributes, lines = 0, dict[str, str](), list[str]()
    closed: Article | None = None  # the last article; text behind it would be its own
    reason = ""  # why the page that is read, or was read last, is set aside

    def close() -> Iterator[Article]:
        nonlocal closed, reason
        if closed and reason:
            skipped(UNPARSEABLE)
            quarantined(QuarantinedPage(id=closed.id, title=closed.title, reason=reason))
        elif closed:
            yield closed
        closed, reason = None, ""

    for number, line in text_lines(stream):
        begins = line.startswith("<doc ") and line.endswith(">")
        if begins and not opened:
            yield from close()
            opened, attributes, lines = number, {name: html.unescape(value) for name, value in _ATTRIBUTE.findall(line)}, []
        elif begins:
            reason = f"line {number}: a <doc> inside the one of line {opened}"
        elif opened and line.endswith("</doc>"):  # some versions write it at the end of the last line of text
            lines.append(line.removesuffix("</doc>"))
            title = attributes.get("title", "")
            text = _extracted("\n".join(lines), title)
            closed, opened = Article(id=attributes.get("id", ""), url=attributes.get("url", ""), title=title, text=text), 0
        elif opened:
            lines.append(line)
        elif line.strip() and closed:
            reason = reason or f"line {number}: text behind </doc>"
        elif line.strip():
            raise UnreadableInput(f"line {number}: {line[:40]!r} is outside of <doc> … </doc>; expected <doc …>: extract it again")
    yield from close()
    if opened:
        raise UnreadableInput(
            f"ends inside the <doc> of line {opened}; expected </doc>: the file is cut, extract or fetch it again"
        )


def _extracted(text: str, title: str) -> str:
    """The text as WikiExtractor leaves it, without its HTML escapes, the title before it, and brackets that templates left empty."""
    text = _ESCAPED.sub(lambda match: html.unescape(match[0]), text)
    first, _, rest = text.partition("\n")
    text = rest if title and first.strip() == title.strip() else text
    return "\n".join(tidy_brackets(line) for line in text.split("\n")).strip("\n")


def read_jsonl(stream: io.BufferedReader, skipped: Callable[[str], None]) -> Iterator[Article]:
    """The articles of JSONL: one object a line, with a key "text" and optional keys "id", "url" and "title".

    `skipped` is called with "null text" for an object without text.
    """
    for number, line in text_lines(stream):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except RecursionError:
            raise UnreadableInput(f"line {number}: is nested too deep; expected one object a line: correct or remove it") from None
        except json.JSONDecodeError as error:
            raise UnreadableInput(
                f"line {number}: {error.msg} at column {error.colno}; expected one JSON object a line: correct or remove it"
            ) from None
        if not isinstance(row, dict) or "text" not in row:
            found = f"keys {', '.join(map(repr, row))}" if isinstance(row, dict) else type(row).__name__
            raise UnreadableInput(
                f"line {number}: found {found}; expected an object with the key 'text': rename the key that holds it"
            )
        text = row["text"]
        if text is None:
            skipped("null text")
            continue
        if not isinstance(text, str):
            raise UnreadableInput(f"line {number}: 'text' is {type(text).__name__}; expected a string: correct or remove it")
        identity, url, title = (str(row[key]) if row.get(key) is not None else "" for key in ("id", "url", "title"))
        # Rows with a "revid" come from WikiExtractor itself, which escapes the text as HTML.
        yield Article(id=identity, url=url, title=title, text=_extracted(text, title) if "revid" in row else text)
