"""The second pass over the text of a page: removes what unbalanced markup left, bold and italic marks, empty brackets and blank space."""

import html
import re
from bisect import bisect_left
from collections import Counter

from pipeline.corpus.holes import NAMED_HOLE, Tally, take_out
from pipeline.corpus.literals import plain

HEADING = "\0"  # "\0<level><title>" on a line of its own is a heading; the input has no such characters

_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|\w{2,31});")
_SPANS = "ref|math|chem|gallery|timeline|syntaxhighlight|source|score|imagemap|table"
_TOKEN = re.compile(
    rf"(?P<open>\{{\{{|\{{\||<!--|<(?P<tag>{_SPANS})\b[^<>]*(?<!/)>)"
    rf"|(?P<close>\}}\}}|\|\}}(?!\}})|-->|</(?P<end>{_SPANS})\s*>)",
    re.IGNORECASE,
)
_CLOSER = {"{{": "}}", "{|": "|}", "<!--": "-->"}
_HTML_TAG = re.compile(
    rf"</?(?:{_SPANS}|references|nowiki|pre|code|tt|kbd|samp|var|br|hr|p|div|span|center|font|small|big|sub|sup|b|i|u|s|em|strong|"
    r"del|ins|strike|blockquote|cite|q|abbr|dfn|li|ul|ol|dl|dt|dd|tr|td|th|caption|thead|tbody|poem|h[1-6]|img|wbr|bdi|bdo|ruby|rb|"
    r"rt|rp|noinclude|includeonly|onlyinclude|section|inputbox|templatestyles|templatedata|hiero|graph|ce)\b[^<>\n]*>|</[^\W\d_]*>?",
    re.IGNORECASE,
)
_VARIANT = re.compile(r"-\{([^{}]*)\}-")  # Chinese: -{zh-hans:计算机; zh-hant:電腦}-, or with flags -{T|…}-
_LINK = re.compile(r"\[\[([^\[\]\n]*)\]\]")
_UNCLOSED_LINK = re.compile(r"\[\[\s*([^\[\]|:\n]{1,30})\s*:[^\n]*")
_EXTERNAL = re.compile(r"\[(?:https?:|ftp:|mailto:|//)[^\s\]]*[^\S\n]*([^\]\n]*)\]?")
_STRAY = re.compile(r"\[\[|\]\]|\{\{+|\}\}+|\{\||\|\}|\{\{\{|\}\}\}")
_SWITCH = re.compile(r"__\w{1,40}?__")  # __TOC__, and each language's own words for it
_FILE_LINE = re.compile(
    r"[^\s:|]{3,20}:[^\n|:]{1,200}\.(?:jpe?g|png|gif|svg|tiff?|webp|xcf|og[gav]|webm|pdf)\b(?:\|.*)?", re.IGNORECASE
)
_NAMESPACE = re.compile(r"([^\s:]{2,20}):(?=\S)")
_DEBRIS = re.compile(r"[-–—\s.,;:'\"()\[\]{}/\\|*]+")  # a line of only punctuation: the rest of it was a template
_QUOTES = re.compile(r"'{2,}")
_LIST_MARKERS = re.compile(r"[*#:;]+\s*")
_BLANKS = re.compile(r"[ \t\xa0\u2000-\u200a\u202f\u3000\r\v\f\u2028\u2029\x85]+")
_EMPTY_BRACKETS = re.compile(r"(?:(?<=\s)|^)\([\s,;:/–—-]*\)|（[\s,;:/–—、，；-]*）|(?:(?<=\s)|^)\[[\s,;]*\]")
_BRACKET_START = re.compile(r"([(（])(?:\s*[,;，；、])+\s*|\(\s+")
_BRACKET_END = re.compile(r"(?:[,;，；、]\s*)+([)）])| \)")
_SPACE_BEFORE = re.compile(r" +(?=[,.](?:\s|$))")


def tidy(text: str, hidden: frozenset[str], tally: Tally) -> str:
    """Rendered wikitext without the remaining markup and holes. The time is linear in the length of the text."""
    text = _ENTITY.sub(lambda match: html.unescape(match[0]).replace(HEADING, ""), text)
    text = _drop_spans(text)
    text = _VARIANT.sub(lambda match: _chosen_variant(match[1]), text)
    for _ in range(4 if "-{" in text else 0):  # blocks in blocks, from the inside
        text = _VARIANT.sub(lambda match: _chosen_variant(match[1]), text)
    text = _drop_links(text, hidden)
    text = _HTML_TAG.sub("", text)
    text = _SWITCH.sub(lambda match: "" if match[0] == match[0].upper() else match[0], text)
    text = _STRAY.sub("", text)
    return plain(_join(_kept_headings([_tidy_line(line, hidden, tally) for line in text.split("\n")])))


def _drop_spans(text: str) -> str:
    """Remove {{…}}, {|…|}, <!--…--> and <ref>…</ref> that the parser did not understand.

    Balanced spans are removed with their content; of an unbalanced one only the token is removed. A span that would reach over a
    heading counts as unbalanced, because otherwise one wrong token could remove an entire article.
    """
    headings = [match.start() for match in re.finditer(HEADING, text)]
    opened: list[tuple[str, int, int]] = []  # (what closes it, start, end of the opener)
    waiting: Counter[str] = Counter()
    cuts: list[tuple[int, int]] = []
    for token in _TOKEN.finditer(text):
        if token["open"]:
            closer = token["tag"].lower() if token["tag"] else _CLOSER[token["open"]]
            opened.append((closer, *token.span()))
            waiting[closer] += 1
            continue
        closer = (token["end"] or token["close"]).lower()
        cuts.append(token.span())
        while waiting[closer]:
            expected, start, end = opened.pop()
            waiting[expected] -= 1
            cuts.append((start, end))
            if expected == closer:
                if bisect_left(headings, start) == bisect_left(headings, token.end()):
                    cuts.append((start, token.end()))
                break
    for closer, start, end in opened:
        at_line_start = start == 0 or text[start - 1] == "\n"
        name_end = text.find("\n", end) if at_line_start and closer in ("}}", "|}") else end
        cuts.append((start, name_end if name_end >= 0 else len(text)))
    kept, position = [], 0
    for start, end in sorted(cuts):
        if end > position:
            kept.append(text[position : max(start, position)])
            position = end
    kept.append(text[position:])
    return "".join(kept)


def _chosen_variant(body: str) -> str:
    """The first variant of a language-converter block. Blocks that only set rules or the title of the page give nothing."""
    flags, bar, rest = body.rpartition("|")
    if bar and set(flags) & set("HT-"):
        return ""
    variants = [part.partition(":") for part in rest.split(";") if part.strip()]
    return variants[0][2].strip() if variants and variants[0][1] else rest


def _drop_links(text: str, hidden: frozenset[str]) -> str:
    """Replace links that the parser did not understand by their label; links to files and categories are removed."""

    def label(match: re.Match[str]) -> str:
        prefix = match[1].partition(":")[0].strip().casefold()
        return "" if prefix in hidden else match[1].rpartition("|")[2]

    for _ in range(3):  # captions can hold links with captions
        text, found = _LINK.subn(label, text)
        if not found:
            break
    text = _UNCLOSED_LINK.sub(lambda match: "" if match[1].strip().casefold() in hidden else match[0], text)
    return _EXTERNAL.sub(r"\1", text)


def _tidy_line(line: str, hidden: frozenset[str], tally: Tally) -> str:
    """One line without bold and italic marks, list markers, parts of tables, double blanks and empty brackets."""
    line = _drop_quotes(line)
    line = _BLANKS.sub(" ", NAMED_HOLE.sub("", line) if line.startswith(HEADING) else take_out(line, tally)).strip(" ")
    if line.startswith("=="):
        level = min(len(line) - len(line.lstrip("=")), 6)
        line = f"{HEADING}{level}{line.strip('= ')}" if line.endswith("==") else line.lstrip("= ")
    if line.startswith(("|", "! ")) or (line.startswith("!") and ("|" in line or "!!" in line)):
        return ""
    if line[:1] in ("*", "#", ":", ";"):
        line = _LIST_MARKERS.sub("", line, count=1)
    prefix = _NAMESPACE.match(line)
    if prefix and prefix[1].casefold() in hidden:
        return ""
    if _FILE_LINE.fullmatch(line) or _DEBRIS.fullmatch(line):
        return ""
    return tidy_brackets(line)


def tidy_brackets(line: str) -> str:
    """A line without empty brackets, and without what is left of a list in brackets when its items are gone."""
    if "(" in line or "（" in line or "[" in line:
        for _ in range(2):  # brackets in brackets
            line = _EMPTY_BRACKETS.sub("", line)
            line = _BRACKET_START.sub(lambda match: match[1] or "(", line)
            line = _BRACKET_END.sub(lambda match: match[1] or ")", line)
        line = _BLANKS.sub(" ", line)
    return _SPACE_BEFORE.sub("", line).strip(" ")


def _drop_quotes(line: str) -> str:
    """Remove '' and ''' as MediaWiki reads them: if they do not balance, one ''' of the line is an apostrophe and an italic mark."""
    runs = list(_QUOTES.finditer(line))
    if not runs:
        return line
    sizes = [len(run[0]) for run in runs]
    bold = sum(size != 2 for size in sizes)
    italic = sum(size == 2 or size >= 5 for size in sizes)
    kept = ["'" if size == 4 or size > 5 else "" for size in sizes]
    if bold % 2 and italic % 2:
        bolds = [i for i, size in enumerate(sizes) if size == 3]
        after_word = [i for i in bolds if (at := runs[i].start()) and line[at - 1] != " "]
        after_letter = [i for i in after_word if (at := runs[i].start()) == 1 or line[at - 2] == " "]  # l'''Iliade''
        for i in (after_letter or after_word or bolds)[:1]:
            kept[i] = "'"
    remaining = iter(kept)
    return _QUOTES.sub(lambda _: next(remaining), line)


def _kept_headings(lines: list[str]) -> list[str]:
    """Remove headings without text below them; put blank lines around the others. The lines are read from the end."""
    kept: list[str] = []
    wanted = 0  # headings of a level below this have text below them
    for line in reversed(lines):
        if not line.startswith(HEADING):
            wanted = 7 if line else wanted
            kept.append(line)
        elif int(line[1]) < wanted and line[2:].strip():
            wanted = int(line[1])
            kept.extend(["", line[2:].strip(), ""])
    return kept[::-1]


def _join(lines: list[str]) -> str:
    """Join the lines, with at most one blank line between two lines and none at the ends."""
    out: list[str] = []
    for line in lines:
        if line or (out and out[-1]):
            out.append(line)
    return "\n".join(out).strip("\n")
