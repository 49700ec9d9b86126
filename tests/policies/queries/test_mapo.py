"""MAPO: its laws are the softmax of its artefact's outputs, over the open queries and the hypotheses."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from support.small_artefacts import arm_artefact, flat_artefact, flat_layers, table_artefact

from onearm.engine import loop
from onearm.engine.draws import POLICY, run_key
from onearm.engine.errors import InvalidInput
from onearm.engine.hardness.rollouts import roll_out
from onearm.engine.problem import fitted, query_problem
from onearm.engine.snapshot import digest
from onearm.engine.task import best_arm, thresholds
from onearm.engine.trained.artefact import Artefact
from onearm.engine.trained.artefact_registry import ArtefactRegistry
from onearm.engine.trained.networks import outputs
from onearm.engine.vocabulary import Array, Decision, Feedback, Instance, Key, Policy, Problem
from onearm.policies import catalog
from onearm.policies.queries.mapo import with_weights

RUN = run_key(1, 0, POLICY)
MADE = [arm_artefact(), flat_artefact(), table_artefact(3, 5)]
ALL = np.ones(3, np.bool_)


@pytest.fixture(autouse=True)
def artefacts(monkeypatch: pytest.MonkeyPatch) -> Iterator[ArtefactRegistry]:
    artefacts = ArtefactRegistry(lambda: MADE)
    monkeypatch.setattr("onearm.policies.queries.mapo.artefacts", artefacts)
    yield artefacts


def problem_of(made: Artefact) -> Problem:
    return query_problem(made.task, made.budget)


def policy_of(made: Artefact, play: str = "sample") -> Policy:
    return fitted(catalog.make("mapo", artefact=made.name, play=play), problem_of(made))


def state_of(policy: Policy, problem: Problem, asked: list[int], answered: list[tuple[int, float]]):  # type: ignore[no-untyped-def]
    """Return the state after some queries were asked, and some answers learned."""
    state = policy.init(policy.params, problem)
    for query in asked:
        state.evidence.asked[query] += 1
    for query, answer in answered:
        learn(policy, state, query, answer)
    return state


def learn(policy: Policy, state, query: int, answer: float) -> None:  # type: ignore[no-untyped-def]
    instance = Instance(0, np.zeros(0), ALL)
    loop.learn(policy.params, state, instance, Decision(query, 0.5), Feedback(0.0, np.array([answer])), Key(RUN, 0))


def law_of(policy: Policy, state, available: Array = ALL) -> Array:  # type: ignore[no-untyped-def]
    law = np.zeros(len(available))
    loop.explain(
        policy.params, state, Instance(0, np.zeros(0), available), law, law.copy(), law.copy(), np.zeros((3, 0))
    )
    return law


def softmax(x: Array) -> Array:
    weights = np.exp(x - x.max())
    return weights / weights.sum()


HISTORY = [(0, 1.0), (1, 0.0), (0, 1.0)]


@pytest.mark.parametrize("made", MADE, ids=lambda made: made.architecture)
def test_the_law_is_the_softmax_of_the_open_queries(made: Artefact) -> None:
    policy = policy_of(made)
    state = state_of(policy, problem_of(made), [0, 0, 1, 2], HISTORY)
    work, evidence = state.scratch_net, state.evidence
    outputs(policy.params.net, evidence.asked, evidence.count, evidence.total, work)
    logits = work.logits.copy()
    for available in ([True] * 3, [False, True, True], [False, False, True]):
        law = law_of(policy, state, np.array(available))
        expected = np.zeros(3)
        expected[available] = softmax(logits[available])
        assert law == pytest.approx(expected, abs=1e-12)
        greedy = law_of(policy_of(made, "greedy"), state, np.array(available))
        assert greedy.tolist() == np.where(expected == expected.max(), 1.0, 0.0).tolist()


@pytest.mark.parametrize("made", MADE, ids=lambda made: made.architecture)
def test_the_propensity_is_the_probability_and_the_frequency(made: Artefact) -> None:
    policy = policy_of(made)
    state = state_of(policy, problem_of(made), [0, 1], HISTORY[:2])
    law = law_of(policy, state)
    counts = np.zeros(3)
    before = digest(state)
    draws = 600
    for t in range(draws):
        state.evidence.asked[:] = [1, 1, 0]
        decision = loop.decide(policy.params, state, Instance(t, np.zeros(0), ALL), Key(RUN, t))
        assert decision.propensity == law[decision.action]
        counts[decision.action] += 1
    state.evidence.asked[:] = [1, 1, 0]
    assert digest(state) == before
    assert (np.abs(counts / draws - law) < 4 * np.sqrt(law * (1 - law) / draws) + 1e-12).all()
    assert (law > 0.02).sum() >= 2


def test_permuting_arms_permutes_the_law() -> None:
    made = MADE[0]
    for play in ("sample", "greedy"):
        policy = policy_of(made, play)
        answers = [(0, 1.0), (1, 1.0), (2, -0.5), (2, 0.25)]  # the first two are tied leaders
        law = law_of(policy, state_of(policy, problem_of(made), [0, 1, 2, 2], answers))
        assert law[0] == law[1]
        for order in ([1, 2, 0], [2, 1, 0], [1, 0, 2]):
            moved = [(order.index(arm), answer) for arm, answer in answers]
            asked = [order.index(arm) for arm in (0, 1, 2, 2)]
            other = law_of(policy, state_of(policy, problem_of(made), asked, moved))
            assert other == pytest.approx(law[order], abs=1e-5)


def test_adding_a_constant_to_all_answers_changes_nothing_once_every_arm_was_pulled() -> None:
    policy, problem = policy_of(MADE[0]), problem_of(MADE[0])
    answers = [(0, 0.3), (1, -0.2), (2, 1.1), (1, 0.9)]
    asked = [arm for arm, _ in answers]
    law = law_of(policy, state_of(policy, problem, asked, answers))
    moved = law_of(policy, state_of(policy, problem, asked, [(arm, answer + 2.5) for arm, answer in answers]))
    assert moved == pytest.approx(law, abs=1e-5)


@pytest.mark.parametrize("made", MADE, ids=lambda made: made.architecture)
def test_answers_commute(made: Artefact) -> None:
    policy, problem = policy_of(made), problem_of(made)
    digests = {
        digest(state_of(policy, problem, [0, 0, 1], [HISTORY[i] for i in order]))
        for order in ([0, 1, 2], [2, 1, 0], [1, 0, 2])
    }
    assert len(digests) == 1


def test_a_query_under_way_counts_as_visited_and_not_as_an_answer() -> None:
    made = MADE[0]
    policy, problem = policy_of(made), problem_of(made)
    settled = state_of(policy, problem, [0, 1], HISTORY[:2])
    waiting = state_of(policy, problem, [0, 1, 2, 2], HISTORY[:2])
    assert np.abs(law_of(policy, settled) - law_of(policy, waiting)).max() > 1e-3
    for state in (settled, waiting):
        loop.recommendation(policy.params, state, Key(RUN, 0))
    assert settled.scratch_net.scores.tolist() == waiting.scratch_net.scores.tolist()
    decided = state_of(policy, problem, [], [])
    decision = loop.decide(policy.params, decided, Instance(0, np.zeros(0), ALL), Key(RUN, 0))
    assert decided.evidence.asked.tolist() == [int(a == decision.action) for a in range(3)]


@pytest.mark.parametrize("made", MADE, ids=lambda made: made.architecture)
def test_the_recommendation_is_drawn_from_the_softmax_of_the_scores(made: Artefact) -> None:
    policy, greedy = policy_of(made), policy_of(made, "greedy")
    state = state_of(policy, problem_of(made), [0, 0, 1], [(0, 0.0), (1, 0.0), (2, 1.0)])
    outputs(policy.params.net, state.evidence.count, state.evidence.count, state.evidence.total, state.scratch_net)
    law = softmax(state.scratch_net.scores)
    draws = 800
    drawn = [loop.recommendation(policy.params, state, Key(RUN, t)) for t in range(draws)]
    frequency = np.bincount(drawn, minlength=len(law)) / draws
    assert (np.abs(frequency - law) < 4 * np.sqrt(law * (1 - law) / draws) + 1e-12).all()
    assert {loop.recommendation(greedy.params, state, Key(RUN, t)) for t in range(20)} == {int(law.argmax())}


def test_greedy_shares_ties_at_random() -> None:
    made = MADE[0]
    policy, problem = policy_of(made, "greedy"), problem_of(made)
    state = policy.init(policy.params, problem)
    assert law_of(policy, state) == pytest.approx([1 / 3] * 3)
    asked, recommended = set(), set()
    for t in range(40):
        state.evidence.asked[:] = 0
        asked.add(loop.decide(policy.params, state, Instance(t, np.zeros(0), ALL), Key(RUN, t)).action)
        recommended.add(loop.recommendation(policy.params, state, Key(RUN, t)))
    assert asked == recommended == {0, 1, 2}


def test_a_table_that_asks_no_open_query_asks_all_of_them_alike() -> None:
    task = best_arm(3, "bits")
    laws = {"query": np.zeros((1, 3)), "recommendation": np.full((7, 3), 1 / 3)}
    laws["query"][0, 0] = 1.0
    policy = with_weights("table/1", task, 1, laws)
    state = policy.init(policy.params, query_problem(task, 1))
    assert law_of(policy, state).tolist() == [1.0, 0.0, 0.0]
    assert law_of(policy, state, np.array([False, True, True])).tolist() == [0.0, 0.5, 0.5]


def test_the_problem_chooses_the_artefact_and_the_spec_names_it_in_full() -> None:
    for made in MADE:
        policy = fitted(catalog.make("mapo"), problem_of(made))
        assert policy.spec == {"name": "mapo", "params": {"artefact": made.label, "play": "sample"}}
        again = fitted(catalog.from_spec(policy.spec), problem_of(made))
        assert again.spec == policy.spec
        assert fitted(policy, problem_of(made)).spec == policy.spec
        state = state_of(policy, problem_of(made), [0, 1], HISTORY[:2])
        assert law_of(again, state).tolist() == law_of(policy, state).tolist()


def test_the_default_play_is_that_of_the_artefact(artefacts: ArtefactRegistry) -> None:
    artefacts.add(arm_artefact(play="greedy", name="bold"))
    policy = fitted(catalog.make("mapo", artefact="bold"), problem_of(MADE[0]))
    assert policy.spec["params"]["play"] == "greedy"
    assert law_of(policy, state_of(policy, problem_of(MADE[0]), [0], [(0, 3.0)])).max() == 1.0


def test_other_problems_are_refused_by_name() -> None:
    named = catalog.make("mapo", artefact="arms-3-6")
    for problem, message in (
        (query_problem(best_arm(3), 7), "'arms-3-6' is for a budget of 6 queries, and this problem has 7"),
        (query_problem(best_arm(4), 6), "is for 3 queries, and this task has 4"),
        (query_problem(best_arm(3, "signs"), 6), "is for answers that are 'normal'"),
        (query_problem(thresholds(3), 6), "is for the task 'arms', .* take thresholds-3-6"),
        (Problem(3), "decides on queries within a budget"),
    ):
        with pytest.raises(InvalidInput, match=message):
            fitted(named, problem)
    with pytest.raises(InvalidInput, match=r"no artefact is for 4 arms, .* there are arms-3-5 .* arms-3-6"):
        fitted(catalog.make("mapo"), query_problem(best_arm(4), 6))


def test_params_are_checked() -> None:
    with pytest.raises(InvalidInput, match="there is no artefact 'arms-9-9'"):
        catalog.make("mapo", artefact="arms-9-9")
    with pytest.raises(InvalidInput, match="play is 'softly': it must be sample or greedy"):
        catalog.make("mapo", play="softly")
    with pytest.raises(InvalidInput, match="artefact is 3"):
        catalog.make("mapo", artefact=3)


@pytest.mark.slow
@pytest.mark.jit
def test_compiled_rollouts_ask_and_recommend_as_the_laws_say() -> None:
    """Every architecture and both plays, once each: the first query and the recommendation of an untouched state."""
    for made in MADE:
        for play in ("sample", "greedy"):
            policy, problem = policy_of(made, play), problem_of(made)
            law = law_of(policy, policy.init(policy.params, problem))
            found = roll_out(policy, problem, np.full((1, 3), 0.5), 4000)
            frequency = np.bincount(found.queries[0, :, 0], minlength=3) / 4000
            assert np.abs(frequency - law).max() < 4 * 0.5 / np.sqrt(4000)
            assert set(found.recommended.ravel()) <= set(range(made.task.n_hypotheses))


@pytest.mark.jit
def test_weights_can_be_changed_without_compiling_again() -> None:
    task = thresholds(4)
    problem = query_problem(task, 6)
    first = roll_out(with_weights("flat_net/1", task, 6, flat_layers(task)), problem, np.zeros((2, 4)), 10)
    compiled = loop.play_out.compilations
    other = roll_out(with_weights("flat_net/1", task, 6, flat_layers(task, 1)), problem, np.zeros((2, 4)), 10)
    roll_out(
        with_weights("flat_net/1", thresholds(3), 6, flat_layers(thresholds(3))),
        problem_of(MADE[1]),
        np.zeros((1, 3)),
        5,
    )
    assert loop.play_out.compilations == compiled
    assert (first.queries != other.queries).any()
