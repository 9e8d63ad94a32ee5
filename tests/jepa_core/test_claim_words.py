"""Words that no claim may use (specs/signals.md, section 3), in the claims files and in what the page itself says."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest

from jepa_core import claims, claims_file, claims_match

ROOT = Path(claims.__file__).resolve().parent.parent
NEVER = (
    r"safe|safely|safety|unsafe|safe\w*-rated|fail-?safe",
    r"emergency|protective stop|SIL|PL [a-e]",
    r"certif\w*|complian\w*|compliant|approved|guarantee\w*",
    r"tamper-?proof|court-?proof|black box",
    r"probability of harm|danger\w*|risk\w*|hazard\w*",
    r"anonymous|anonymi[sz]ed",
    r"near[- ]miss\w*",
    r"proves?|proven",  # of a result; a file's identity is another matter and is not said here
    r"understands?|understanding of|knows the world|human-level|state of the art|state-of-the-art",
)
PATTERN = re.compile("|".join(rf"\b(?:{words})\b" for words in NEVER), re.IGNORECASE)
TITLES = (
    "Intuitive physics understanding emerges",
    "V-JEPA 2: Self-Supervised Video Models Enable Understanding",
)
ABOUT_IDENTITY = ("nothing proves whose weights these are",)
PAGE = sorted((ROOT / "widgets").glob("claims_*.py"))


def texts(node: object) -> list[str]:
    if isinstance(node, str):
        return [node]
    if isinstance(node, dict):
        return [text for value in node.values() for text in texts(value)]
    return [text for value in node for text in texts(value)] if isinstance(node, list) else []


def found(text: str) -> list[str]:
    for allowed in (*TITLES, *ABOUT_IDENTITY):
        text = text.replace(allowed, "")
    return PATTERN.findall(text)


@pytest.mark.parametrize("path", sorted(claims_file.DIRECTORY.iterdir()), ids=lambda path: path.stem)
def test_no_claims_file_uses_a_word_that_must_not_be_claimed(path: Path):
    said = texts(tomllib.loads(path.read_text("utf-8")))

    assert len(said) > 20
    assert [(text, words) for text in said if (words := found(text))] == []


@pytest.mark.parametrize(
    "path", [*PAGE, Path(claims.__file__), Path(claims_match.__file__)], ids=lambda path: path.stem
)
def test_what_the_page_says_of_itself_uses_none_either(path: Path):
    tree = ast.parse(path.read_text("utf-8"))
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(getattr(node, "body", None), list) and node.body and isinstance(node.body[0], ast.Expr)
    }
    said = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings
    ]
    said.remove("safety_case") if "safety_case" in said else None  # a kind of source in the session format

    assert [(text, words) for text in said if (words := found(text))] == []


@pytest.mark.parametrize(
    "text", ["a safe robot", "Certified by", "zero risk", "a near-miss", "it is tamper-proof", "SIL 2"]
)
def test_the_pattern_finds_what_it_looks_for(text: str):
    assert found(text)


@pytest.mark.parametrize(
    "text", ["similar", "explained", "V-JEPA 2: Self-Supervised Video Models Enable Understanding"]
)
def test_the_pattern_leaves_other_words_alone(text: str):
    assert not found(text)
