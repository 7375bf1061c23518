"""The pages: their examples run, and what they link to exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").glob("*.md")),
]

# A fence with more than the language, as in "```python needs data", is not for running.
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"^```.*?^```|`[^`\n]*`", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")
PICTURE = re.compile(r"!\[([^\]]*)\]\(")


def name(page):
    return str(page.relative_to(ROOT))


def prose(page):
    return CODE.sub("", page.read_text(encoding="utf-8"))


def blocks():
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in BLOCK.finditer(text):
            line = text.count("\n", 0, match.start(1)) + 1
            yield pytest.param(match[1], page, line, id=f"{name(page)}:{line}")


@pytest.mark.parametrize(("code", "page", "line"), list(blocks()))
def test_examples_run(code, page, line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # Padded, so that a traceback names the page's line.
    exec(compile("\n" * (line - 1) + code, str(page), "exec"), {"__name__": "example"})


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere_and_pictures_say_in_words_what_they_show(page):
    for target in LINK.findall(prose(page)):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{name(page)} links to {target}"
    for words in PICTURE.findall(prose(page)):
        assert words, f"{name(page)} has a picture without a text"
