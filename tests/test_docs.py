"""The documentation: equations name functions that there are, and links lead to pages."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted((ROOT / "docs").glob("*.md"))
# `NAME`, `OTHER` and `CLASS.METHOD` in `vton_jax/PATH.py`
NAMED = re.compile(r"((?:`[\w.]+`(?:,\s|\sand\s|\s)?)+)\s?in\s`([\w/]+\.py)`")


def functions(text: str) -> list[tuple[str, str]]:
    """(path, name) of every function that a text names together with its file."""
    return [(path, name) for names, path in NAMED.findall(text) for name in re.findall(r"`([\w.]+)`", names)]


def defined(path: Path) -> set[str]:
    """The names that a file defines: functions, classes, their methods as CLASS.METHOD, and variables."""
    found = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{one.name}" for one in node.body if isinstance(one, ast.FunctionDef)}
        if isinstance(node, ast.Assign):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return found


def test_functions_are_found_in_texts_and_files():
    text = "`a`, `b` and\n`C.d` in `vton_jax/e.py`, where `f` is; `g` in\n`vton_jax/h.py`."
    assert functions(text) == [("vton_jax/e.py", n) for n in ("a", "b", "C.d")] + [("vton_jax/h.py", "g")]
    assert {"functions", "PAGES"} <= defined(Path(__file__))
    assert "MultiPathCNN.encode" in defined(ROOT / "vton_jax/models/multi_path_cnn.py")


def test_equations_name_functions_that_there_are():
    text = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    after = text.split("```math")[1:]
    assert len(after) > 20
    for equation in after:
        formula, words = equation.split("```", 1)
        assert functions(words.split("\n## ")[0]), f"no function is named after {formula.strip()}"
    for path, name in functions(text):
        assert (ROOT / path).is_file(), f"docs/models.md names {path}, which is not there"
        assert name in defined(ROOT / path), f"docs/models.md names {name}, which {path} does not define"


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md"], ids=lambda page: page.name)
def test_links_and_pictures_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
        if not link.startswith(("http:", "https:")):
            assert (page.parent / link).exists(), f"{page.name} leads to {link}, which is not there"
