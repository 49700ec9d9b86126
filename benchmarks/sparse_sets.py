"""Labelled tables of named features, made of what every checkout and its libraries have.

A row is an object of names and numbers, as the environment `classification` takes them.
"""

from __future__ import annotations

import ast
import importlib.util
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from onearm.envs import catalog as envs
from onearm.envs.contexts.classification import named_rows

HERE = Path(__file__).resolve().parent
WORD = re.compile(r"[a-z]{2,}")
WORDS = 150  # that are read of a docstring
Rows = list[dict[str, float]]
Table = tuple[Rows, list[int]]


def libraries() -> Table:
    """Return 4,000 docstrings of six libraries, by library: TF-IDF with unit length."""
    found = [
        (words, label)
        for label, name in enumerate(("numpy", "scipy", "sklearn", "pandas", "matplotlib", "numba"))
        for words in docstrings(name)
    ]
    return weighted(drawn(found, 4000))


def two_libraries() -> Table:
    """Return 1,000 longer docstrings of two libraries, half of each: TF-IDF with unit length, some 62 words."""
    names = ("sklearn", "scipy")
    both = [[(words, i) for words in docstrings(name) if len(words) >= 40] for i, name in enumerate(names)]
    return weighted([row for some in both for row in drawn(some, 500)])


def pages() -> Table:
    """Return 2,000 sentences of the eight longest pages of docs/, by page: words, as they are there or not."""
    files = sorted((HERE.parent / "docs").glob("*.md"), key=lambda file: (-file.stat().st_size, file.name))[:8]
    sentences = [
        (words, i)
        for i, file in enumerate(sorted(files))
        for sentence in re.split(r"(?<=[.:])\s+|\n\n|\|", file.read_text())
        if len(words := WORD.findall(sentence.lower())) >= 8
    ]
    some = drawn(sentences, 2000)
    return [dict.fromkeys(words, 1.0) for words, _ in some], [i for _, i in some]


def synthetic() -> Table:
    """Return 1,000 rows of 62 of 6,000 words, of two topics that use them a little differently; unit length."""
    rng = np.random.default_rng(5)
    base = 1.0 / (np.arange(6000) + 8.0)
    tilt = 0.25 * rng.normal(size=6000)
    rarity = np.log(1.0 / np.minimum(62 * base / base.sum(), 0.9)) + 0.2
    rows, label = [], []
    for _ in range(1000):
        topic = int(rng.integers(2))
        chance = base * np.exp((2 * topic - 1) * tilt)
        words = rng.choice(6000, 62, replace=False, p=chance / chance.sum())
        weight = (1 + np.log(rng.geometric(0.6, 62))) * rarity[words]
        weight /= np.sqrt((weight**2).sum())
        rows.append({f"w{word}": float(size) for word, size in zip(words, weight, strict=True)})
        label.append(topic)
    return rows, label


def functions() -> Table:
    """Return 2,000 functions of seven packages of Python's standard library, by package: the names in them, counted.

    Kept back: nothing was tuned on it.
    """
    packages = ("asyncio", "email", "http", "idlelib", "importlib", "multiprocessing", "xml")
    found = [
        (words, label) for label, package in enumerate(packages) for words in names_of(package) if len(words) >= 12
    ]
    some = drawn(found, 2000)
    return [dict(Counter(words)) for words, _ in some], [label for _, label in some]


def ner() -> Table:
    """Return the words of Vowpal Wabbit's ner.train, each with the strings that are known of it, by label."""
    return named_rows("ner")


def numbers(dataset: str, moved: float = 0.0, scale: float = 1.0) -> Callable[[], Table]:
    """Return what makes a table of numbers into named ones, moved and scaled; 0 is no feature."""

    def made() -> Table:
        params = envs.make("classification", dataset=dataset).params
        table = scale * (params.features + moved)
        return [{f"f{j}": x for j, x in enumerate(row) if x != 0} for row in table.tolist()], params.label.tolist()

    return made


TABLES: dict[str, Callable[[], Table]] = {  # of numbers
    "digits": numbers("digits"),
    "digits + 1000": numbers("digits", moved=1000.0),
    "digits * 1e6": numbers("digits", scale=1e6),
    "segment": numbers("segment"),
    "breast_cancer": numbers("breast_cancer"),
}
SETS: dict[str, Callable[[], Table]] = {
    "synthetic": synthetic,
    "two_libraries": two_libraries,
    "libraries": libraries,
    "pages": pages,
    "functions": functions,
    "ner": ner,
    **TABLES,
}


def docstrings(library: str) -> list[list[str]]:
    """Return the words of the docstrings of an installed library that have 120 characters or more."""
    return [WORD.findall(text.lower())[:WORDS] for file in files_of(library) for text in texts_of(file)]


def names_of(package: str) -> list[list[str]]:
    """Return the words of the variables and attributes in each function of an installed package."""
    return [
        [
            word
            for part in ast.walk(node)
            if isinstance(part, ast.Name | ast.Attribute)
            for word in WORD.findall((part.id if isinstance(part, ast.Name) else part.attr).lower())
        ]
        for file in files_of(package)
        for node in ast.walk(ast.parse(file.read_text(errors="replace")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


def files_of(package: str) -> list[Path]:
    """Return the modules of an installed package, without its tests."""
    spec = importlib.util.find_spec(package)
    assert spec is not None and spec.submodule_search_locations, f"{package} is not installed: make dev installs it"
    folder = Path(spec.submodule_search_locations[0])
    return [file for file in sorted(folder.rglob("*.py")) if "test" not in str(file.relative_to(folder))]


def texts_of(file: Path) -> Iterator[str]:
    """Yield the docstrings of a file."""
    for node in ast.walk(ast.parse(file.read_text(errors="replace"))):
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module):
            text = ast.get_docstring(node)
            if text and len(text) >= 120:
                yield text


def drawn(rows: list[Any], n: int) -> list[Any]:
    """Return n of the rows, in an order of their own."""
    return [rows[i] for i in np.random.default_rng(0).permutation(len(rows))[:n]]


def weighted(documents: list[tuple[list[str], int]]) -> Table:
    """Return words by (1 + ln times) ln(documents / documents that have it), of unit length."""
    having = Counter(word for words, _ in documents for word in set(words))
    rows = []
    for words, _ in documents:
        row = {
            word: (1 + math.log(times)) * math.log(len(documents) / having[word])
            for word, times in Counter(words).items()
        }
        length = math.sqrt(sum(size * size for size in row.values())) or 1.0
        rows.append({word: size / length for word, size in row.items() if size > 0})
    return rows, [label for _, label in documents]
