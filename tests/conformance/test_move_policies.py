"""What every policy that decides on moves keeps to, beside what all policies do: without a line here.

They play on `arm_stream`, and on `passing.py` what no simulation shows: arms that are late, pulls that are not made.
"""

from __future__ import annotations

import golden
import numpy as np
import pytest
from support.kinds.moves import ARMS, KNOWN, NAMES, SLOTS, TRIALS, stream
from support.passing import NO_KEY, Passing, decide, fresh, learn, play

from onearm.engine import loop, snapshot
from onearm.engine.actions import PULL, READ
from onearm.engine.errors import InvalidInput
from onearm.engine.simulation import Simulation, simulate
from onearm.engine.vocabulary import DECIDE, LEARN
from onearm.envs import catalog as envs
from onearm.policies import catalog as policies


def slots_enough(name: str) -> list[int]:
    """Return numbers of slots that suffice a policy, the least among them."""
    policy = golden.specimen(name)
    for slots in range(1, SLOTS + 1):
        try:
            fresh(policy, ARMS, TRIALS, slots)
            return sorted({slots, SLOTS})
        except InvalidInput as error:
            assert error.code == "policy_does_not_fit"
    raise AssertionError(f"{name} asks for more than {SLOTS} slots")


ROOMS = [(name, slots) for name in NAMES for slots in slots_enough(name)]


@pytest.mark.parametrize(("arms", "trials"), KNOWN)
@pytest.mark.parametrize(("name", "slots"), ROOMS)
def test_moves_can_be_made_and_a_recommendation_is_an_arm_that_is_there(
    name: str, slots: int, arms: int, trials: int | None
) -> None:
    """`Passing` refuses every other move; once the trials are known they are made to the last one."""
    policy = golden.specimen(name)
    state, world, made = fresh(policy, arms, trials, slots), Passing(slots, ARMS), 0
    for t in range(3000):
        place = loop.recommendation(policy.params, state, NO_KEY)
        assert place == -1 or world.places[place] is not None
        instance, decision = decide(policy, state, t, world.available())
        assert decision.propensity == 1.0
        feedback = world.make(decision.action)
        learn(policy, state, instance, decision, feedback)
        made += int(feedback.detail[0])
        assert trials is None or made <= trials
        if made == trials:
            break
    assert world.read == ARMS or trials is not None
    assert made == trials or trials is None
    assert world.peak <= slots + 1
    assert loop.recommendation(policy.params, state, NO_KEY) >= 0


@pytest.mark.parametrize(("name", "slots"), ROOMS)
def test_where_one_arm_alone_is_left_it_is_pulled(name: str, slots: int) -> None:
    """After a commit, which may be to another arm than the policy comes to think best."""
    policy = golden.specimen(name)
    state, world = fresh(policy, ARMS, TRIALS, slots), Passing(slots, ARMS)
    for t in range(300):
        for place in np.flatnonzero(world.available()[:-1]):
            _, alone = decide(policy, state, t, np.arange(slots + 2) == place)
            assert alone.action[:2].tolist() == [PULL, place] and alone.action[2] >= 1
        instance, decision = decide(policy, state, t, world.available())
        learn(policy, state, instance, decision, world.make(decision.action))


@pytest.mark.parametrize(("arms", "trials"), KNOWN)
@pytest.mark.parametrize("name", NAMES)
def test_arms_that_are_late_leave_a_move_that_can_be_made(name: str, arms: int, trials: int | None) -> None:
    """As in a service: nothing to read now, and more later. What is there is pulled meanwhile."""
    policy = golden.specimen(name)
    state, world = fresh(policy, arms, trials, SLOTS), Passing(SLOTS, 1, closed=False)
    for t in range(400):
        if t % 10 == 9:
            world.offered = min(world.offered + t % 3, ARMS)
        if t == 350:
            world.closed = True
        instance, decision = decide(policy, state, t, world.available())
        learn(policy, state, instance, decision, world.make(decision.action))
        if trials is not None and sum(world.pulls.values()) == trials:
            break
    assert world.offered == ARMS or trials is not None
    assert world.read > 1


@pytest.mark.parametrize(("arms", "trials"), KNOWN)
@pytest.mark.parametrize("name", NAMES)
def test_fewer_pulls_than_asked_for_are_learned_as_what_they_are(name: str, arms: int, trials: int | None) -> None:
    """Traffic runs dry: a pull that was not made at all teaches nothing, and the next moves can be made."""
    policy = golden.specimen(name)
    state, world, asked = fresh(policy, arms, trials, SLOTS), Passing(SLOTS, ARMS), 0
    for t in range(400):
        before = snapshot.digest(state)
        instance, decision = decide(policy, state, t, world.available())
        feedback = world.make(decision.action, (0.0, 1.0, 0.4)[asked % 3])
        learn(policy, state, instance, decision, feedback)
        if decision.action[0] == PULL:
            asked += 1
            assert feedback.detail[0] > 0.0 or snapshot.digest(state) == before
        if trials is not None and sum(world.pulls.values()) == trials:
            break
    assert world.read > 1


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("arms", [1, 2, 50])
@pytest.mark.parametrize("trials", [1, 2, 3, 40])
def test_few_arms_and_few_trials_are_played_to_the_last_trial(name: str, arms: int, trials: int) -> None:
    policy = golden.specimen(name)
    for told in {arms, 0}:
        state, world = fresh(policy, told, trials, SLOTS), Passing(SLOTS, arms)
        play(policy, state, world, 0, 500, trials)
        assert sum(world.pulls.values()) == trials


@pytest.mark.parametrize("name", NAMES)
def test_a_stream_that_ends_early_or_late_is_no_harm(name: str) -> None:
    """Another number of arms comes than was said."""
    policy = golden.specimen(name)
    for told in (5, 300):
        state, world = fresh(policy, told, TRIALS, SLOTS), Passing(SLOTS, ARMS)
        play(policy, state, world, 0, 3000, TRIALS)
        assert sum(world.pulls.values()) == TRIALS


@pytest.mark.parametrize("rewards", ["bernoulli", "normal"])
@pytest.mark.parametrize(("name", "slots"), ROOMS)
def test_a_simulation_makes_the_trials_within_the_slots_and_its_log_is_its_state(
    name: str, slots: int, rewards: str
) -> None:
    policy = golden.specimen(name)
    run = Simulation(policy, stream(slots=slots, rewards=rewards), horizon=TRIALS, seed=2)
    log = run.advance_logged(TRIALS)
    learned = log.kind == LEARN
    assert run.trials == TRIALS == log.detail[learned, 0].sum()
    assert run.world.state.held[1] <= slots + 1
    assert (log.kind[0::2] == DECIDE).all() and learned[1::2].all()
    numbers = log.detail[learned & (log.action[:, 0] == READ), 1]
    assert numbers[numbers >= 0].tolist() == list(range(int(run.world.state.read[0])))
    replayed, folded = (policy.init(policy.params, run.problem) for _ in range(2))
    assert loop.replay(policy.params, replayed, run.run, log) == -1
    loop.fold(policy.params, folded, run.run, log, None, None)
    assert snapshot.digest(replayed) == snapshot.digest(folded) == snapshot.digest(run.state)


@pytest.mark.parametrize("name", NAMES)
def test_a_stream_shows_and_pays_what_the_moves_make_of_it(name: str) -> None:
    """`Passing` follows the moves of the log; with rewards that do not vary the sums tell which arm was pulled."""
    means = np.random.default_rng(6).random(ARMS).tolist()
    env = envs.make("arm_stream", means=means, rewards="two_point", sd=0.0, slots=SLOTS)
    run = Simulation(golden.specimen(name), env, horizon=TRIALS, seed=2)
    log, world, regret = run.advance_logged(TRIALS), Passing(SLOTS, ARMS), 0.0
    for row in np.flatnonzero(log.kind == DECIDE):
        assert log.available[row].tolist() == world.available().tolist()
        move, (done, read) = log.action[row], log.detail[row + 1].tolist()
        arm = world.places[move[1]]
        world.make(move, done / max(int(move[2]), 1))
        if move[0] == READ:
            assert read == (-1 if world.over else world.read - 1)
            continue
        assert arm is not None
        assert log.reward[row + 1] == done * means[arm]
        regret += done * (max(means) - means[arm])
    assert regret == run.totals.regret[0]


@pytest.mark.parametrize("name", NAMES)
def test_replications_differ_and_repeat(name: str) -> None:
    first, again = (
        simulate(golden.specimen(name), stream(), horizon=TRIALS, replications=3, seed=4, threads=threads)
        for threads in (1, 3)
    )
    assert first.regret.tobytes() == again.regret.tobytes()
    assert len({row.tobytes() for row in first.regret}) == 3
    assert (np.diff(first.regret, axis=1) >= 0.0).all()


@pytest.mark.parametrize("name", NAMES)
def test_wrappers_of_laws_refuse_a_policy_of_moves(name: str) -> None:
    for wrapper, more in (("floor", {}), ("budget", {"cost": [1.0], "limit": 2.0})):
        with pytest.raises(InvalidInput, match=f"'{name}' decides on arms that stream past, which have no"):
            policies.make(wrapper, policy={"name": name}, **more)


@pytest.mark.parametrize(("name", "said"), [("delayed", "nothing can come late"), ("named", "which have no features")])
def test_an_environment_around_a_stream_is_refused(name: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        envs.make(name, env={"name": "arm_stream", "params": {"arms": 5}})
