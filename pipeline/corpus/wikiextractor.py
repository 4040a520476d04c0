"""WikiExtractor output → articles: text between <doc> and </doc>, or JSONL."""

import html
import io
import json
import re
from collections.abc import Callable, Iterator

from data.articles import Article
from pipeline.corpus.corpus_file import UnreadableInput, text_lines

# The order of the attributes varies between versions, and a title may hold quotes.
_ATTRIBUTE = re.compile(r'\b(id|url|title)="(.*?)"(?=\s+\w+="|\s*>$)')


def read_docs(stream: io.BufferedReader) -> Iterator[Article]:
    """The articles between <doc id= url= title=> and </doc>. The first line is dropped if it repeats the title."""
    opened, attributes, lines = 0, dict[str, str](), list[str]()
    for number, line in text_lines(stream):
        if line.startswith("<doc ") and line.endswith(">"):
            if opened:
                raise UnreadableInput(
                    f"line {number}: a <doc> begins inside the one of line {opened}; expected </doc> before it: extract it again"
                )
            opened, attributes, lines = number, {name: html.unescape(value) for name, value in _ATTRIBUTE.findall(line)}, []
        elif opened and line.endswith("</doc>"):  # some versions write it at the end of the last line of text
            lines.append(line.removesuffix("</doc>"))
            title = attributes.get("title", "")
            text = html.unescape("\n".join(lines))
            first, _, rest = text.partition("\n")
            text = rest if first.strip() == title else text
            yield Article(id=attributes.get("id", ""), url=attributes.get("url", ""), title=title, text=text.strip("\n"))
            opened = 0
        elif opened:
            lines.append(line)
        elif line.strip():
            raise UnreadableInput(f"line {number}: {line[:40]!r} is outside of <doc> … </doc>; expected <doc …>: extract it again")
    if opened:
        raise UnreadableInput(
            f"ends inside the <doc> of line {opened}; expected </doc>: the file is cut, extract or fetch it again"
        )


def read_jsonl(stream: io.BufferedReader, skipped: Callable[[str], None]) -> Iterator[Article]:
    """The articles of JSONL: one object a line, with a key "text" and optional keys "id", "url" and "title".

    `skipped` is called with "null text" for an object without text.
    """
    for number, line in text_lines(stream):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
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
        yield Article(id=identity, url=url, title=title, text=html.unescape(text) if "revid" in row else text)
