"""The page in a browser, at the width of a telephone and of a desk: nothing wider than the screen, nothing loaded, no complaint.

Runs where Chromium is installed. The page is in a frame of the width, because a browser's window has a least width.
"""

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from tests.support.report import add_student, copy_run, make_study, page_of

BROWSER = next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs Chromium on the PATH")

FRAME = """<!DOCTYPE html><meta charset="utf-8"><body style="margin: 0"><pre id="found"></pre>
<iframe id="frame" src="page.html" style="border: 0; width: {width}px; height: 900px"></iframe>
<script>
document.getElementById("frame").onload = (event) => {{
  const inside = event.target.contentWindow, page = inside.document;
  const wide = [...page.querySelectorAll("body *")].filter(
    (one) => !one.closest(".scroll") && one.getBoundingClientRect().right > inside.innerWidth + 1);
  const cut = [...page.querySelectorAll("svg[role=img]")].flatMap((plot) => {{
    const box = plot.getBoundingClientRect();
    return [...plot.querySelectorAll("text")].filter((text) => {{
      const own = text.getBoundingClientRect();
      return own.left < box.left - 2 || own.right > box.right + 2 || own.top < box.top - 2 || own.bottom > box.bottom + 2;
    }});
  }});
  document.getElementById("found").textContent = JSON.stringify({{
    width: inside.innerWidth, scroll: page.documentElement.scrollWidth, wide: wide.map((one) => one.tagName + " " + one.className),
    cut: cut.map((one) => one.textContent), loaded: inside.performance.getEntriesByType("resource").map((one) => one.name),
    swatches: [...new Set([...page.querySelectorAll(".swatch")].map((one) => one.getBoundingClientRect().width))],
    plots: page.querySelectorAll("svg[role=img]").length, paper: inside.getComputedStyle(page.body).backgroundColor,
  }});
}};
</script>"""


def look(page: Path, width: int, *, dark: bool) -> tuple[dict[str, Any], list[str]]:
    """What the browser measured, and what it wrote to its console."""
    frame = page.with_name(f"frame-{width}-{dark}.html")
    frame.write_text(FRAME.format(width=width), encoding="utf-8")
    assert BROWSER is not None
    command = [
        BROWSER,
        "--headless=new",
        "--no-sandbox",  # tests may run as root
        "--disable-gpu",
        "--disable-background-networking",
        "--allow-file-access-from-files",  # the frame may look at the page
        f"--blink-settings=preferredColorScheme={0 if dark else 1}",
        f"--user-data-dir={page.parent / 'browser'}",
        "--enable-logging=stderr",
        "--window-size=1400,1000",
        "--virtual-time-budget=10000",
        "--dump-dom",
        frame.as_uri(),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    found = re.search(r'<pre id="found">(.+?)</pre>', done.stdout, re.DOTALL)
    assert found, done.stderr
    return json.loads(unescape(found[1])), [line for line in done.stderr.splitlines() if "CONSOLE" in line]


@pytest.fixture(scope="module")
def shown(whole: Path, bilingual: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with long names and wide tables: two runs with many students, a bilingual one, and a study."""
    folder = tmp_path_factory.mktemp("browser")
    other = copy_run(whole, folder / ("a-run-with-a-long-name-" * 4).strip("-"))
    for number in range(6):
        add_student(other, f"student-of-a-name-that-has-no-space-in-it-{number}")
    make_study(folder / "studies")
    page_of([whole, other, bilingual], folder / "page.html", studies=folder / "studies")
    return folder / "page.html"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_fits_and_loads_nothing(shown: Path, width: int, dark: bool) -> None:
    found, console = look(shown, width, dark=dark)
    assert found["width"] == width
    assert found["scroll"] <= width
    assert found["wide"] == []
    assert found["cut"] == []
    assert found["loaded"] == []
    assert found["swatches"] == [32]
    assert found["plots"] >= 10
    assert found["paper"] == ("rgb(20, 24, 29)" if dark else "rgb(255, 255, 255)")
    assert console == []
