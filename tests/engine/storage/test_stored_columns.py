"""Any log comes back from any database as the columns it was."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.stored import NO_CONTEXT, add, decide, learn

from onearm.engine.columns import concat
from onearm.engine.errors import Damaged
from onearm.engine.storage.event_columns import learned_columns
from onearm.engine.storage.records import Event
from onearm.engine.storage.store import Store
from onearm.engine.vocabulary import CHANGE, DECIDE, LEARN, Columns, Problem


def test_columns_repeat_a_decision_on_its_rewards_however_old_it_is(store: Store) -> None:
    key = add(store)
    problem = Problem(n_arms=10, context_shape=(10, 3))
    contexts = np.arange(120.0).reshape(4, 10, 3)
    masks = np.arange(40).reshape(4, 10) % 3 > 0
    events: list[Event] = []
    for number in range(4):
        context, mask = contexts[number].tobytes(), np.packbits(masks[number]).tobytes()
        fields = {"action": number, "propensity": 0.1 * number + 0.1}
        events.append(decide(key, number + 1, number, **fields, context=context, available=mask))
    events.append(Event(key, 5, CHANGE))
    for seq, number in ((6, 3), (7, 0), (8, 0), (9, 2)):
        fields = {"action": number, "propensity": 0.1 * number + 0.1, "reward_id": str(seq)}
        events.append(learn(key, seq, number, float(seq), **fields))
    store.append(events)
    for page in (1, 2, 3, 100):
        pages = list(store.columns(key, problem, page=page))
        columns = concat([part for part, _, _ in pages])
        assert columns.kind.tolist() == [DECIDE] * 4 + [LEARN] * 4
        assert columns.number.tolist() == columns.action.tolist() == [0, 1, 2, 3, 3, 0, 0, 2]
        np.testing.assert_array_equal(columns.propensity, 0.1 * columns.number + 0.1)
        np.testing.assert_array_equal(columns.reward, [np.nan] * 4 + [6, 7, 8, 9])
        np.testing.assert_array_equal(columns.context, contexts[columns.number])
        np.testing.assert_array_equal(columns.available, masks[columns.number])
        assert pages[0][1] == 1
        assert pages[-1][2] == 9


def test_columns_refuse_a_log_that_does_not_hang_together(store: Store) -> None:
    key = add(store)
    store.append([learn(key, 1, 41)])
    with pytest.raises(Damaged, match="reward of decision 41"):
        list(store.columns(key, NO_CONTEXT))
    key = add(store, "short context")
    store.append([decide(key, 1, 0, context=b"12345678")])
    with pytest.raises(Damaged, match=r"not dense of the shape \[2\]"):
        list(store.columns(key, Problem(3, (2,))))
    key = add(store, "long mask")
    store.append([decide(key, 1, 0, available=b"12")])
    with pytest.raises(Damaged, match="3 arms"):
        list(store.columns(key, NO_CONTEXT))


@st.composite
def logs(draw: st.DrawFn) -> tuple[Problem, list[dict[str, object]]]:
    """A problem, and events in an order that a service could have accepted."""
    problem = Problem(draw(st.integers(1, 9)), (draw(st.sampled_from([0, 1, 3])),))
    events: list[dict[str, object]] = []
    decided = 0
    for _ in range(draw(st.integers(0, 25))):
        kind = draw(st.sampled_from([DECIDE, DECIDE, LEARN, LEARN, CHANGE]))
        if kind == LEARN and decided:
            number = draw(st.integers(0, decided - 1))
            events.append({"kind": LEARN, "number": number, "reward": draw(st.floats(-1e300, 1e300)) + 0.0})
        elif kind == DECIDE:
            arms = draw(st.sets(st.integers(0, problem.n_arms - 1), min_size=1))
            events.append(
                {
                    "kind": DECIDE,
                    "number": decided,
                    "action": draw(st.sampled_from(sorted(arms))),
                    "propensity": draw(st.one_of(st.just(math.nan), st.floats(1e-300, 1.0))),
                    "context": draw(
                        st.lists(
                            st.floats(allow_nan=False, allow_infinity=False),
                            min_size=problem.context_shape[0],
                            max_size=problem.context_shape[0],
                        )
                    ),
                    "arms": draw(st.sampled_from([None, arms])) if len(arms) < problem.n_arms else None,
                }
            )
            decided += 1
        elif kind == CHANGE:
            events.append({"kind": CHANGE})
    return problem, events


def truth(problem: Problem, events: list[dict[str, object]]) -> Columns:
    """The columns of a log, by the plainest of loops."""
    decisions = {event["number"]: event for event in events if event["kind"] == DECIDE}
    rows = [event for event in events if event["kind"] != CHANGE]
    masks = np.ones((len(rows), problem.n_arms), np.bool_)
    for row, event in enumerate(rows):
        if (arms := decisions[event["number"]]["arms"]) is not None:
            masks[row] = [arm in arms for arm in range(problem.n_arms)]
    made = [decisions[event["number"]] for event in rows]
    return Columns(
        kind=np.array([event["kind"] for event in rows], np.int8),
        number=np.array([event["number"] for event in rows], np.int64),
        action=np.array([decision["action"] for decision in made], np.int64),
        propensity=np.array([decision["propensity"] for decision in made], np.float64),
        reward=np.array([event.get("reward", math.nan) for event in rows], np.float64),
        detail=np.zeros((len(rows), 0)),
        context=np.array([decision["context"] for decision in made]).reshape(len(rows), *problem.context_shape),
        available=masks,
    )


def as_rows(key: int, problem: Problem, events: list[dict[str, object]]) -> list[Event]:
    """The same log as rows of the database."""
    decisions = {event["number"]: event for event in events if event["kind"] == DECIDE}
    rows = []
    for seq, event in enumerate(events, 1):
        if event["kind"] == CHANGE:
            rows.append(Event(key, seq, CHANGE))
            continue
        decision = decisions[event["number"]]
        made = {"action": decision["action"], "propensity": decision["propensity"]}
        if event["kind"] == LEARN:
            rows.append(learn(key, seq, event["number"], event["reward"], reward_id=str(seq), **made))
            continue
        mask = None
        if event["arms"] is not None:
            mask = np.packbits([arm in event["arms"] for arm in range(problem.n_arms)]).tobytes()
        context = np.array(event["context"]).tobytes() or None
        rows.append(decide(key, seq, event["number"], context=context, available=mask, **made))
    return rows


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), log=logs())
def test_any_log_comes_back_as_the_columns_it_was(
    store: Store, data: st.DataObject, log: tuple[Problem, list[dict[str, object]]]
) -> None:
    problem, events = log
    key = add(store, f"e{len(store.experiments())}")
    rows = as_rows(key, problem, events)
    while rows:
        size = data.draw(st.integers(1, len(rows)))
        store.append(rows[:size])
        rows = rows[size:]
    page = data.draw(st.integers(1, 30))
    after = data.draw(st.integers(0, len(events)))
    learned_only = data.draw(st.booleans())
    expected = truth(problem, events)
    seqs = np.array([seq for seq, event in enumerate(events, 1) if event["kind"] != CHANGE], np.int64)
    keep = (seqs > after) & ((expected.kind == LEARN) | (not learned_only))
    pages = [part for part, _, _ in store.columns(key, problem, after, page, learned_only)]
    if not pages:
        assert not keep.any()
        return
    columns = concat(pages)
    for name, found, wanted in zip(Columns._fields[:7], columns, expected, strict=False):
        assert found.tobytes() == wanted[keep].tobytes(), name
    np.testing.assert_array_equal(
        np.broadcast_to(columns.available, (keep.sum(), problem.n_arms)), expected.available[keep]
    )


@given(log=logs(), data=st.data())
def test_what_a_window_closes_with_is_the_columns_that_the_log_will_hold(
    log: tuple[Problem, list[dict[str, object]]], data: st.DataObject
) -> None:
    """Of decisions in any order, as windows close in that of their activations."""
    problem, events = log
    made = [event for event in events if event["kind"] == DECIDE]
    decided = data.draw(st.permutations(as_rows(1, problem, made)))
    if not decided:
        return
    learned = [{"kind": LEARN, "number": one.number, "reward": float(one.seq)} for one in decided]
    wanted = truth(problem, [*made, *learned])
    found = learned_columns(decided, [(float(one.seq), None) for one in decided], problem, None)
    for name, column, whole in zip(Columns._fields[:7], found, wanted, strict=False):
        assert column.tobytes() == whole[len(made) :].tobytes(), name
    np.testing.assert_array_equal(
        np.broadcast_to(found.available, (len(decided), problem.n_arms)), wanted.available[len(made) :]
    )
