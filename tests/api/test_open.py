"""The Python interface: `onearm.open`, `decide`, `learn`, and what they refuse."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.witness import witness

import onearm
from onearm.api.experiment.explanation import wrapped
from onearm.api.experiment.spec import Spec
from onearm.api.kinds.arms.engine import ArmDecision, Engine
from onearm.engine import snapshot
from onearm.engine.domain import ball
from onearm.engine.errors import Conflict, InvalidInput, NotFound
from onearm.engine.laws.constraints import constraints_of
from onearm.engine.task import best_arm
from onearm.policies import catalog

ARMS = ["cat", "dog", "fox"]


def test_a_decision_names_its_arm_number_and_propensity() -> None:
    engine = onearm.open(policy="ucb1", arms=ARMS)
    assert isinstance(engine, Engine)
    assert engine.decide() == ArmDecision(number=0, action_id="cat", action=0, propensity=1.0)
    assert [type(value) for value in engine.decide()] == [int, str, int, float]


def test_arms_may_be_a_number_and_the_policy_a_text_or_a_spec() -> None:
    assert onearm.open("uniform", arms=4).roster.labels == ("0", "1", "2", "3")
    assert onearm.open("uniform").roster.labels == ("0", "1")
    for policy in ('ucb1:{"alpha":2.0}', {"name": "ucb1", "params": {"alpha": 2.0}}):
        assert onearm.open(policy).spec.policy.params.alpha == 2.0


def test_ucb1_by_hand() -> None:
    """Each arm once, then the highest mean + sqrt(2 ln t / count): at t = 3 that is dog, who paid."""
    engine = onearm.open(policy="ucb1", arms=ARMS)
    for reward in (0.0, 1.0, 0.5):
        engine.learn(engine.decide(), reward)
    assert engine.state.mean.tolist() == [0.0, 1.0, 0.5]
    assert engine.decide().action_id == "dog"


def test_rewards_may_come_late_in_any_order_and_by_number() -> None:
    early, late = (onearm.open(policy="ucb1", arms=ARMS) for _ in range(2))
    for engine in (early, late):
        decisions = [engine.decide(eligible=[arm]) for arm in ARMS]
        order = (0, 1, 2) if engine is early else (2, 0, 1)
        for place in order:
            engine.learn(decisions[place].number if place else decisions[place], reward=place / 2)
    assert late.digest() == early.digest()


def test_eligible_arms_are_the_only_ones_chosen_and_the_propensity_says_so() -> None:
    engine = onearm.open(policy="uniform", arms=ARMS, seed=3)
    choices = [engine.decide(eligible=("dog", "fox")) for _ in range(50)]
    assert {choice.action_id for choice in choices} == {"dog", "fox"}
    assert {choice.propensity for choice in choices} == {0.5}
    assert engine.decide(eligible=["fox", "fox"]).propensity == 1.0
    assert math.isclose(engine.decide().propensity, 1 / 3)


def test_the_same_seed_decides_the_same_and_another_does_not() -> None:
    def actions(seed: int) -> list[int]:
        engine = onearm.open("uniform", arms=10, seed=seed)
        return [engine.decide().action for _ in range(30)]

    assert actions(1) == actions(1) != actions(2)
    assert actions(2**64 - 1) == actions(2**64 - 1) != actions(1)


def test_what_is_learned_is_what_was_seen_at_the_decision(monkeypatch: pytest.MonkeyPatch) -> None:
    """The caller's context is copied: changing it afterwards changes nothing."""
    monkeypatch.setattr(catalog, "_outside", {"witness": witness})
    digests = []
    for change in (0.0, 9.0):
        engine = onearm.open("witness", arms=ARMS, context=2)
        context = np.array([0.25, 0.5])
        decision = engine.decide(context)
        context += change
        engine.learn(decision, 1.0)
        digests.append(engine.digest())
    assert digests[0] == digests[1]
    other = onearm.open("witness", arms=ARMS, context=2)
    other.learn(other.decide([0.25, 0.75]), 1.0)
    assert other.digest() != digests[0]


def test_the_digest_is_that_of_the_state() -> None:
    engine = onearm.open("ucb1")
    before = engine.digest()
    engine.learn(engine.decide(), 1.0)
    assert engine.digest() == snapshot.digest(engine.state) != before


@pytest.mark.parametrize(
    ("asked", "code", "said"),
    [
        ({"policy": "ucb2"}, "unknown_policy", "there is no policy 'ucb2'"),
        ({"policy": "ucb1:{"}, "bad_params", "are not JSON"),
        ({"policy": {"nam": "ucb1"}}, "bad_spec", "it must be"),
        ({"arms": []}, "bad_arms", "one or more"),
        ({"arms": 0}, "bad_arms", "one or more"),
        ({"arms": ["a", "a"]}, "bad_arms", "two arms have the id 'a'"),
        ({"arms": ["a/.."]}, "bad_id", "is not . or .."),
        ({"seed": -1}, "bad_seed", "-1"),
        ({"seed": 2**64}, "bad_seed", "from 0 to 2^64 - 1"),
        ({"horizon": 0}, "bad_horizon", "0"),
        ({"context": -2}, "bad_context", "-2"),
    ],
)
def test_what_cannot_be_opened_is_explained(asked: dict[str, Any], code: str, said: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        onearm.open(**{"policy": "ucb1", **asked})
    assert caught.value.code == code
    assert said in str(caught.value)


HUGE = 10**5000  # Python writes no number of so many digits
OF_TAG = {"groups": [{"name": "fresh", "tag": "new", "floor": 0.1}]}


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: onearm.open("ucb1", [HUGE]), "the id of an arm is a number of some 5000 digits: it must be a string"),  # type: ignore[list-item]
        (lambda: onearm.open("ucb1", HUGE), "arms is a number of some 5000 digits: there may be 1000000 at most"),
        (lambda: onearm.open("ucb1", [[HUGE]]), "the id of an arm is a list with a number of thousands of digits"),  # type: ignore[list-item]
        (
            lambda: onearm.open("ucb1", [{"id": "a", "tags": HUGE}], constraints=OF_TAG),
            "the tags of arm 'a' are a numb",
        ),
        (lambda: onearm.open("ucb1").decide(unit_id=HUGE), "unit_id is a number of some 5000 digits"),  # type: ignore[arg-type]
        (lambda: onearm.open("ucb1").decide(eligible=[HUGE]), "there is no action a number of some 5000 digits"),  # type: ignore[list-item]
        (lambda: onearm.open("ucb1", reward_range=(0, HUGE)), "reward.range is a tuple with a number of thousands"),
        (lambda: onearm.open(domain=ball(2), feedback=HUGE), "problem.feedback is a number of some 5000 digits"),  # type: ignore[call-overload]
        (lambda: onearm.open(HUGE), "policy is a number of some 5000 digits: it must be a name or a spec"),
        (lambda: onearm.open("linucb", context=HUGE), "the length of the context is a number of some 5000 digits"),
        (lambda: onearm.open("uniform_budget", task=HUGE), "task is a number of some 5000 digits: take onearm"),
        (lambda: best_arm(3).check_answer(HUGE), "the answer is a number of some 5000 digits: it must be"),
        (
            lambda: constraints_of(0.0, 1.0, [{"name": "g", "arms": [HUGE, -1]}]),
            "'g' has the arms a list with a num",
        ),
        (lambda: onearm.open("ucb1").learn(HUGE, 1.0), "there is no decision a number of some 5000 digits"),
        (lambda: onearm.open("ucb1").learn([HUGE], 1.0), "the decision is a list with a number of thousands"),  # type: ignore[arg-type]
    ],
)
def test_a_number_that_python_does_not_write_is_refused_as_any_other(call: Any, says: str) -> None:
    with pytest.raises((InvalidInput, NotFound), match=re.escape(says)):
        call()


def test_what_cannot_be_decided_is_explained_and_takes_no_number() -> None:
    plain = onearm.open("ucb1", arms=ARMS)
    dense = onearm.open("ucb1", arms=ARMS, context=2)
    with pytest.raises(InvalidInput, match="there is no action 'cow': the actions are cat, dog, fox"):
        plain.decide(eligible=["cow"])
    with pytest.raises(InvalidInput, match="no action is left to choose from"):
        plain.decide(eligible=[])
    with pytest.raises(InvalidInput, match="the context is missing"):
        dense.decide()
    with pytest.raises(InvalidInput, match=r"has the shape \[3\]: it must have \[2\]"):
        dense.decide([1, 2, 3])
    with pytest.raises(InvalidInput, match="not finite"):
        dense.decide([1, math.nan])
    with pytest.raises(InvalidInput, match=r"it must have \[0\]"):
        plain.decide([1.0])
    assert plain.decide().number == dense.decide([0, 0]).number == 0


def test_what_cannot_be_learned_is_explained_and_changes_nothing() -> None:
    engine = onearm.open("ucb1", arms=ARMS)
    decision = engine.decide()
    before = engine.digest()
    for reward in (math.nan, math.inf, "1", None, True):
        with pytest.raises(InvalidInput, match="it must be a finite number"):
            engine.learn(decision, reward)  # type: ignore[arg-type]
    for number in (1, -1, 10**9):
        with pytest.raises(NotFound, match=f"there is no decision {number}: decide first"):
            engine.learn(number, 1.0)
    assert engine.digest() == before
    engine.learn(decision, 1.0)
    after = engine.digest()
    with pytest.raises(Conflict, match="decision 0 already has feedback: feedback is accepted once"):
        engine.learn(decision, 1.0)
    assert engine.digest() == after


def test_numpy_numbers_are_numbers() -> None:
    """What people have at hand: a reward and a decision's number out of an array."""
    engine = onearm.open("ucb1", arms=ARMS)
    engine.decide()
    engine.learn(np.int64(0), np.float64(0.5))
    assert engine.state.mean[0] == 0.5
    engine.learn(engine.decide(), np.float32(0.25))
    engine.learn(engine.decide(), np.int64(1))
    assert engine.state.mean.tolist() == [0.5, 0.25, 1.0]


@pytest.mark.parametrize(
    ("misuse", "message"),
    [
        (lambda: onearm.open(arms=2.0), "arms is 2.0: it must be a list of ids"),
        (lambda: onearm.open(arms=True), "arms is True"),
        (lambda: onearm.open(arms="abc"), "arms is 'abc'"),
        (lambda: onearm.open(policy=None), "policy is None: it must be a name or a spec"),
        (lambda: onearm.open("ucb1").decide(eligible="0"), "eligible is '0': it must be a list of ids"),
        (lambda: onearm.open("ucb1").decide(eligible=5), "eligible is 5: it must be a list of ids"),
        (lambda: onearm.open("ucb1").decide(eligible=b"ab"), "eligible is b'ab': it must be a list of ids"),
        (lambda: onearm.open("ucb1").learn("x", 1.0), "the decision is 'x'"),
        (lambda: onearm.open("ucb1").learn(0.7, 1.0), "the decision is 0.7"),
        (lambda: onearm.open("ucb1").learn(None, 1.0), "the decision is None"),
    ],
)
def test_misuse_is_explained(misuse: Any, message: str) -> None:
    with pytest.raises(InvalidInput, match=re.escape(message)):
        misuse()


def test_a_choice_of_another_engine_is_refused() -> None:
    one, two = onearm.open("ucb1", arms=["a", "b"]), onearm.open("ucb1", arms=["c", "d"])
    choice = one.decide()
    two.decide()
    with pytest.raises(Conflict, match="it comes from another engine"):
        two.learn(choice, 1.0)


ROWS = [{"id": "x", "features": [1.0, 0.0]}, {"id": "y", "features": [0.0, 1.0]}]


def test_actions_may_come_with_each_call() -> None:
    engine = onearm.open("linear_greedy", actions=2, seed=1)
    for t in range(20):
        some = ROWS[: 1 + t % 2]
        choice = engine.decide(actions=some)
        assert choice.action_id == some[choice.action]["id"]
        engine.learn(choice, 1.0 if choice.action_id == "y" else 0.0)
    assert engine.decide(actions=ROWS[::-1], eligible=["x"])[1:3] == ("x", 1)
    named = onearm.open("linear_greedy", context={"kind": "features", "bits": 8}, actions={})
    choice = named.decide({"user": {"age": 3}}, actions=[{"id": "a", "price": 2}, {"id": "b"}])
    named.learn(choice, 1.0)
    assert onearm.open("linucb", context={"kind": "features", "dimension": 8}).decide({"x": 1}).action_id == "0"


def test_actions_that_do_not_fit_are_explained() -> None:
    listed, fixed = onearm.open("uniform", actions=2), onearm.open("uniform")
    for misuse, message in (
        (lambda: listed.decide(), "actions is missing: list the actions of this call"),
        (lambda: fixed.decide(actions=ROWS), "actions is given: this engine has arms"),
        (lambda: listed.decide(actions=[]), "the set of actions is empty"),
        (lambda: listed.decide(actions=ROWS[:1] * 2), "two actions have the id 'x'"),
        (lambda: listed.decide(actions=[{"id": "x"}]), "the action 'x' must have features, a list of 2 numbers"),
        (lambda: listed.decide(actions=[{"id": "x", "features": [1, math.inf]}]), "not finite"),
        (lambda: listed.decide(actions=[{"id": "x", "features": [1, None, 2][:2]}]), "not"),
    ):
        with pytest.raises(InvalidInput, match=message):
            misuse()
    assert (listed.number, fixed.number) == (0, 0)


def test_a_door_explains_what_it_would_do_and_changes_nothing() -> None:
    engine = onearm.open("linucb", arms=ARMS, context=1)
    for t in range(9):
        engine.learn(engine.decide([float(t % 4)]), t % 3)
    before = engine.digest()
    found = engine.explain([2.0], eligible=["cat", "fox"])
    assert engine.digest() == before
    assert found["ranking"][0]["action_id"] == engine.decide([2.0], eligible=["cat", "fox"]).action_id
    for reasons in found["explanation"]:
        assert sum(part["contribution"] for part in reasons["features"]) == pytest.approx(reasons["score"], abs=1e-9)
    with pytest.raises(InvalidInput, match="the policy cannot say why"):
        onearm.open("exp3_ix").explain()


def test_a_warm_start_learns_what_the_log_says(tmp_path: Path) -> None:
    file = tmp_path / "log.jsonl"
    rows = [(0, 0.0), (1, 1.0), (2, 0.5), (1, 0.5)]
    lines = [json.dumps({"action": action, "reward": reward, "propensity": 0.25}) for action, reward in rows]
    file.write_text("\n".join(lines) + "\n")
    engine = onearm.open("ucb1", arms=ARMS)
    assert engine.warm_start(str(file)) == 4
    assert (engine.state.mean.tolist(), engine.state.count.tolist()) == ([0.0, 0.75, 0.5], [1, 2, 1])
    assert engine.decide().number == 4
    fresh = onearm.open("ucb1", arms=2)
    with pytest.raises(InvalidInput, match="the log has 3 arms: this engine has 2"):
        fresh.warm_start(file)
    file.write_text("\n".join([*lines, json.dumps({"action": 2, "reward": 1.0})]) + "\n")
    with pytest.raises(InvalidInput, match="row 4 of the log: the propensity is nan"):
        engine.warm_start(file)
    dense = onearm.open("linear_greedy", arms=ARMS, context=2)
    with pytest.raises(InvalidInput, match=r"contexts do not have the shape \[2\]"):
        dense.warm_start(file)
    assert engine.number == 5 and engine.state.count.sum() == 4


@pytest.mark.parametrize(
    "asked",
    [
        {"arms": 3},
        {"arms": 3, "context": 4},
        {"context": {"kind": "features"}},
        {"context": {"kind": "features"}, "actions": {}},
        {"actions": 2},
    ],
)
def test_the_usual_policy_is_that_of_the_service(asked: dict[str, Any]) -> None:
    """The same problem gets the same policy in both interfaces: with contexts the one that reads them."""
    engine = onearm.open(**asked)
    body = {key: value for key, value in engine.spec.to_json().items() if key != "policy"}
    assert engine.spec.policy.spec == Spec.from_json(body).policy.spec
    inner = "thompson_any" if asked == {"arms": 3} else "fourier_softmax"
    assert wrapped(engine.spec.policy.spec) == f"adaptive({inner})"


@pytest.mark.usefixtures("few_cosines")
def test_contexts_are_learned_where_no_policy_is_named() -> None:
    engine = onearm.open(arms=2, context=1, seed=1)
    for t in range(40):
        choice = engine.decide([float(t % 2)])
        engine.learn(choice, 1.0 if choice.action == t % 2 else 0.0)
    assert [engine.decide([float(side)]).action for side in (0, 1)] == [0, 1]


def test_no_message_names_a_policy_that_nobody_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(onearm.open(arms=3).explain()["ranking"]) == 3

    def exhausted(policy: Any, problem: Any) -> None:
        raise MemoryError("48.8 GiB")

    monkeypatch.setattr("onearm.api.experiment.spec.fitted", exhausted)
    with pytest.raises(InvalidInput, match=r"the default policy cannot be built \(MemoryError: 48.8 GiB\)"):
        onearm.open(arms=3)


@pytest.mark.parametrize(
    ("asked", "context", "says"),
    [
        (
            {},
            {"country": "fr"},
            'the context is an object: this experiment has none; create it with the context {"kind"',
        ),
        ({"context": 2}, {"country": "fr"}, "the context is an object: this experiment reads lists of 2 numbers"),
        ({"context": {"kind": "features"}}, "fr", "the context is 'fr': this experiment reads JSON objects, such as"),
        ({"context": {"kind": "features"}}, [1, 2], r"the context is \[1, 2\]: this experiment reads JSON objects"),
    ],
)
def test_a_context_of_another_form_is_refused_with_what_is_read(asked: Any, context: Any, says: str) -> None:
    with pytest.raises(InvalidInput, match=f"^{says}"):
        onearm.open(arms=2, **asked).decide(context)


def test_a_reward_and_a_form_of_the_context_are_shown_as_they_were_given() -> None:
    engine = onearm.open(arms=2)
    with pytest.raises(InvalidInput, match=r"^the reward is '12': it must be a finite number"):
        engine.learn(engine.decide(), "12")  # type: ignore[arg-type]
    with pytest.raises(
        InvalidInput, match=r"^the length of the context is 'features': .*; for named features the context is"
    ):
        onearm.open(arms=2, context="features")  # type: ignore[arg-type]
    offers = onearm.open(context={"kind": "features"}, actions={})
    with pytest.raises(InvalidInput, match=r"^the id of an action is 1: it must be a string"):
        offers.decide({}, actions=[{"id": 1}])
    with pytest.raises(InvalidInput, match=r"^the id of an arm is 1: it must be a string of 1 to 256 characters"):
        onearm.open(arms=[1, 2])  # type: ignore[list-item]


def test_a_policy_without_reasons_is_refused_with_two_that_have_some() -> None:
    with pytest.raises(InvalidInput, match=r"rewards, like fourier_softmax, or an index, like ucb1$"):
        onearm.open("exp3_ix", arms=3).explain()
    for named in ("fourier_softmax", "ucb1"):
        assert len(onearm.open(named, arms=3).explain()["ranking"]) == 3


@pytest.mark.parametrize("policy", ["linucb", "squarecb", "fourier_softmax", "fourier_ucb"])
@pytest.mark.parametrize("far", [1e200, 1e300])
@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning", "ignore:invalid value:RuntimeWarning")
def test_features_near_the_largest_number_spoil_no_law(policy: str, far: float) -> None:
    """Errors of absurd predictions were cut, so that these were never mended, and became no numbers."""
    rng = np.random.default_rng(0)
    engine = onearm.open(policy, arms=3, actions=3)
    for _ in range(60):
        signs = rng.choice([1.0, -1.0], (3, 3))
        rows = [{"id": str(j), "features": [far * signs[j, 0], far * signs[j, 1], signs[j, 2]]} for j in range(3)]
        decision = engine.decide(actions=rows)
        assert 0.0 < decision.propensity <= 1.0
        engine.learn(decision, float(rng.normal()))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda engine: engine.decide(time="x"), "time is 'x': it must be microseconds since 1970 UTC"),
        (lambda engine: engine.decide(time=float("nan")), "time is nan"),
        (lambda engine: engine.decide_many(2, time=2**70), "time is 1180591620717411303424"),
        (lambda engine: engine.decide_many(2, unit_ids=5), "unit_ids is 5: it must be a list of ids"),
        (lambda engine: engine.decide_many(2, actions=5), "actions is 5: it must be a list of actions for each call"),
        (lambda engine: engine.warm_start(5), "log is 5: give the path of a file"),
    ],
)
def test_what_is_of_another_type_is_refused_with_what_it_must_be(call: Any, message: str) -> None:
    engine = onearm.open("ucb1", arms=["a", "b"])
    with pytest.raises(InvalidInput, match=message):
        call(engine)
    assert engine.decide(time=5).number == 0


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"reward": 5}, "reward is 5: it must be an object"),
        ({"policies": 5}, "policies is 5: it must be a list of objects"),
        ({"policies": [5]}, "one of the policies is 5: it must be a JSON object"),
        ({"policies": [{"role": "shadow"}]}, '"policy" says which it is'),
        ({"policies": [{"policy": "ucb1", "part": "shadow"}]}, "unknown field 'part'"),
    ],
)
def test_what_goes_on_beside_decisions_is_checked_before_anything_is_written(
    given: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(InvalidInput, match=message):
        onearm.open("ucb1", arms=2, **given, database=f"sqlite:///{tmp_path}/run.db", experiment="e")
    assert list(tmp_path.iterdir()) == []


def test_a_range_that_is_said_twice_must_be_one() -> None:
    engine = onearm.open("ucb1", reward={"range": [0, 2]}, reward_range=(0, 2))  # type: ignore[call-overload]
    assert engine.problem.reward_range == (0.0, 2.0)
    with pytest.raises(InvalidInput, match=r"reward_range is \(0, 2\), and reward has the range \[0, 1\]") as refused:
        onearm.open("ucb1", reward={"range": [0, 1]}, reward_range=(0, 2))  # type: ignore[call-overload]
    assert refused.value.code == "bad_range"


def test_a_stream_does_not_drop_what_is_said_of_its_rewards(tmp_path: Path) -> None:
    here = {"database": f"sqlite:///{tmp_path}/run.db", "experiment": "e"}
    with pytest.raises(InvalidInput):
        onearm.open(stream=5, horizon=20, reward={"wait_time": "1s"}, **here)  # type: ignore[call-overload]
