"""What people hand over to functions of Python: what does not fit is refused, and the message says what would."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pytest

import onearm
from onearm.api.cli.evaluate import evaluate
from onearm.api.cli.replay import replay
from onearm.api.offline.own import Batch
from onearm.engine.errors import InvalidInput
from onearm.engine.vocabulary import Array

LOG = polars.DataFrame(
    {"action": ["a", "b"] * 4, "reward": [1.0, 0.0, 1.0, 1.0] * 2, "propensity": [0.5] * 8, "p": [0.5] * 8}
)


def half(batch: Batch) -> Array:
    return np.full((len(batch), 2), 0.5)


def logged(batch: Batch) -> Array:
    return half(batch)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"features": 5}, "features is 5: it must be a text, or a list of texts"),
        ({"features": ["p", 5]}, "features is .* it must be a text, or a list of texts"),
        ({"weight_limit": "x"}, "weight_limit is 'x': it must be a number"),
        ({"weight_max": [2]}, r"weight_max is \[2\]: it must be a number"),
        ({"arms": 2.5}, "arms is 2.5: it must be a whole number from 1 on"),
        ({"arms": True}, "arms is True: it must be a whole number from 1 on"),
        ({"dimension": "x"}, "dimension is 'x': it must be a whole number from 1 on"),
        ({"method": np.array(["ips"])}, "method is array.* a text, or a list of texts"),
        ({"interval": 3}, "interval is 3: it must be a text, or a list of texts"),
        ({"model": ["ridge"]}, r"no model \['ridge'\]: there are ridge, mean, and columns:q_\*"),
        ({"baseline": half}, "baseline is <function half.* say baseline='mine'"),
        ({"reward_range": np.array([1, 0])}, "two numbers that ascend"),
        ({"reward_range": np.array(3)}, "two numbers that ascend"),
        ({"reward_range": (0.0, 0.5)}, r"rewards reach from 0 to 1, beyond \[0, 0.5\]"),
        ({"target": {1: "uniform"}}, "the label of a target is 1: it must be a text"),
        ({"target": {None: "uniform"}}, "the label of a target is None: it must be a text"),
        ({"target": {" ": "uniform"}}, "the label of a target is ' ': it must be a text that says something"),
        ({"target": {"logged": "uniform"}, "baseline": "logged"}, "labelled 'logged', which is what made the log"),
        ({"target": logged}, "labelled 'logged', which is what made the log"),
    ],
)
def test_what_does_not_fit_is_refused(asked: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        onearm.evaluate(LOG, **({"target": "uniform"} | asked))


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        (half, "a policy is <function half.* functions of a batch are for onearm.evaluate"),
        (3, "a policy is 3: name one"),
        ({"mine": "ucb1"}, "a policy is {'mine': 'ucb1'}: name one"),
        ("column:p", "'column:p' is a target for evaluate, and no policy"),
        ("columns:p_*", "is a target for evaluate, and no policy"),
        ("table:new.csv", "is a target for evaluate, and no policy"),
        ("action:a", "is a target for evaluate, and no policy"),
        ("logged", "is a target for evaluate, and no policy"),
    ],
)
def test_replay_takes_policies_alone(policy: Any, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        onearm.replay(LOG, policy)


def test_a_sweep_is_a_text() -> None:
    with pytest.raises(InvalidInput, match="sweep is 3: it must be a text"):
        onearm.replay(LOG, "ucb1", sweep=3)  # type: ignore[arg-type]


WORLD = 'bernoulli:{"mean":[0.1,0.9]}'
IN_LOGS = {"action", "reward", "reward_is", "propensity", "time", "unit", "segment"}  # names of columns of a log
ARRAYS = {"embedding", "arms of open", "states of open", "engine"}  # that may be one, or are never a name
CALLS: list[tuple[Callable[..., Any], dict[str, Any]]] = [
    (onearm.evaluate, {"data": "log.csv", "target": "uniform"}),
    (onearm.replay, {"data": "log.csv", "policy": "ucb1"}),
    (onearm.read_log, {"data": "log.csv"}),
    (onearm.simulate, {"env": WORLD, "policy": "ucb1", "horizon": 5}),
    (onearm.open, {}),
    (onearm.best_arm, {"arms": 3}),
    (onearm.thresholds, {"points": 3}),
    (onearm.hypotheses, {"table": [[1, 0], [0, 1]]}),
    (onearm.weights, {}),
]
GIVEN = [
    (function, usual, name)
    for function, usual in CALLS
    for name in inspect.signature(function).parameters
    if name not in IN_LOGS - ({"reward"} if function is onearm.open else set())
    and not {name, f"{name} of {function.__name__}"} & ARRAYS
]


@pytest.mark.parametrize(("function", "usual", "name"), GIVEN, ids=[f"{of.__name__} {name}" for of, _, name in GIVEN])
def test_a_column_in_place_of_a_name_is_refused_in_our_words(
    function: Callable[..., Any], usual: dict[str, Any], name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    LOG.write_csv("log.csv")
    if function is onearm.weights:
        usual = {"engine": onearm.open("squarecb", context={"kind": "features"})}
    for given in (LOG.to_pandas()["action"], LOG["action"], LOG["action"].to_numpy()):
        with pytest.raises(InvalidInput) as refused:
            function(**usual | {name: given})
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize("form", [5, "excel", ""])
def test_a_format_that_is_none_is_refused_with_those_that_there_are(form: Any, tmp_path: Path) -> None:
    LOG.write_csv(tmp_path / "log.csv")
    with pytest.raises(InvalidInput, match=r"format is 5: it must be a text|no format '.*': there are jsonl, parquet"):
        onearm.read_log(tmp_path / "log.csv", format=form)


def test_a_share_to_learn_may_be_a_text_as_on_the_command_line() -> None:
    asked: dict[str, Any] = {"policy": "ucb1", "method": "snips"}
    found = [onearm.replay(LOG, learn=learn, **asked).to_dict()["estimates"] for learn in ("0.5", 0.5)]
    assert found[0] == found[1]
    for learn in ("half", "nan", "1.5", True, None, ["matched"]):
        with pytest.raises(InvalidInput):
            onearm.evaluate(LOG, "ucb1", learn=learn)


def test_the_log_itself_may_be_labelled_so_and_ranges_may_be_arrays() -> None:
    found = onearm.evaluate(LOG, {"logged": "logged", "new": half}, baseline="logged", reward_range=np.array([0, 1]))  # type: ignore[arg-type]
    assert [each["target"] for each in found.to_dict()["estimates"]] == ["logged", "new"]


def test_columns_of_one_name_are_all_there_under_names_that_tell() -> None:
    table = LOG.with_columns(polars.Series("d", ["x", "y"] * 4), polars.Series("d=x", [5.0, 6.0] * 4), action_id=7)
    log = onearm.read_log(table, features=["d", "d=x", "action"], action="action_id")
    columns = log.to_dict()
    assert columns["action"] == ["7"] * 8
    assert (columns["d=x"], columns["d=x (feature 2)"]) == ([1.0, 0.0] * 4, [5.0, 6.0] * 4)
    numbers = table.with_columns(propensity=0.25, reward=polars.Series([1.0, 2.0] * 4), y=1.0)
    log = onearm.read_log(numbers, features=["reward", "propensity"], reward="y", propensity="p")
    assert log.features == ["reward (feature 0)", "propensity (feature 1)"]
    assert log.to_dict()["reward (feature 0)"] == [1.0, 2.0] * 4 and log.to_dict()["reward"] == [1.0] * 8


def test_a_function_cannot_take_one_of_two_numbers_of_one_name() -> None:
    table = LOG.with_columns(polars.Series("d", ["x", "y"] * 4), polars.Series("d=x", [5.0, 6.0] * 4))

    def by_d(batch: Batch) -> Array:
        return np.stack([batch["d=x"], 1.0 - batch["d=x"]], 1)

    with pytest.raises(InvalidInput, match="two numbers of a context are called 'd=x'"):
        onearm.evaluate(table, by_d, features=["d", "d=x"])


def arguments_of(function: Callable[..., Any]) -> dict[str, tuple[Any, Any]]:
    """Return the arguments that are named, with their type and what they are where they are left out."""
    named = [each for each in inspect.signature(function).parameters.values() if each.kind is each.KEYWORD_ONLY]
    return {each.name: (each.annotation, each.default) for each in named}


def test_calls_name_the_same_arguments_alike_and_as_the_commands_do() -> None:
    """They are written out in each call, as a notebook shows them while one types: so they must not drift apart."""
    of_evaluate, of_replay, of_read = map(arguments_of, (onearm.evaluate, onearm.replay, onearm.read_log))
    assert of_replay == of_evaluate | {"sweep": of_replay["sweep"]}
    assert of_read == {name: of_evaluate[name] for name in of_read}
    for command, arguments in ((evaluate, of_evaluate), (replay, of_replay)):
        options = {option.opts[0].removeprefix("--").replace("-", "_") for option in command.params}
        elsewhere = {"target", "policy", "log", "policy_file", "artefact", "segments", "plots", "scheduler", "json"}
        assert {*arguments} == options - elsewhere
