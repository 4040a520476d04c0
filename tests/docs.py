"""Puts what commands print into the README: python -m tests.docs [OUTPUT OF `mergedistill demo`]. `make docs` runs it.

tests/command_line/test_readme.py compares the README with the code, so it fails if this script has to run again.
"""

import re
import sys
from pathlib import Path

from cli import main
from tests.support.paths import ROOT

README = ROOT / "README.md"
DEMO_TABLES = (
    re.compile(r"^student  .*\n(?:.*\n)*?RDT: .*$", re.MULTILINE),
    re.compile(r"^student begins  .*\n(?:.*\n)*?Mean RDT .*$", re.MULTILINE),
)


def commands_table() -> str:
    """A row for each command with the first line of its help."""
    rows = [f"| `mergedistill {name}` | {command.get_short_help_str(200)} |" for name, command in main.commands.items()]
    return "\n".join(["| command | does |", "| --- | --- |", *rows])


def demo_table(output: str) -> str:
    """The last table of scores in the output of the demo, and the one that compares the ways."""
    found = [table.findall(output) for table in DEMO_TABLES]
    if not all(found):
        raise SystemExit("found no table of held-out scores; expected the output of a finished `mergedistill demo`")
    return "```text\n" + "\n\n".join(tables[-1] for tables in found) + "\n```"


def section(text: str, name: str) -> str:
    """The generated text between the marks of a section."""
    return text.split(f"<!-- docs: {name} -->\n")[1].split("\n<!-- docs: end -->")[0]


def replaced(text: str, name: str, content: str) -> str:
    """The text with new content between the marks of a section."""
    before, rest = text.split(f"<!-- docs: {name} -->\n")
    return f"{before}<!-- docs: {name} -->\n{content}\n<!-- docs: end -->{rest.split('<!-- docs: end -->', 1)[1]}"


def update(demo: Path | None) -> None:
    text = replaced(README.read_text(encoding="utf-8"), "commands", commands_table())
    if demo is not None:
        text = replaced(text, "demo", demo_table(demo.read_text(encoding="utf-8")))
    README.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    update(Path(sys.argv[1]) if sys.argv[1:] else None)
