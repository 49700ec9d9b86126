"""THE LOOP: the circle instance -> decision -> feedback -> state, and the only caller of the kernels.

One event at a time: `decide`, `learn`. Closed, against an environment: `simulate`. Open, over a log: `replay` makes
every decision again and compares, `fold` learns only (recovery); on the log of someone else another policy decides, and
learns where it agrees (`match`), all that was logged (`follow`), or nothing (`watch`). Their bits agree.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .actions import allowed, decision_at, put_action, same_action, trials
from .answers import draw_answer
from .columns import put_decision, put_feedback, row_instance
from .compiled.binding import Bound, opened
from .contexts import instance_at, is_finite
from .kernel import kernel, loop, routine
from .pending import Pending, hold
from .protocol import (
    appraise,
    attribute,
    certify,
    mark,
    observe,
    recall,
    recommend,
    recommendation_loss,
    regret,
    reset,
    respond,
    row_of,
    select,
    update,
    write_law,
)
from .rewards import count_outside
from .vocabulary import (
    DECIDE,
    LEARN,
    NOBODY,
    Action,
    Array,
    Certificate,
    Columns,
    Decision,
    Feedback,
    Instance,
    Judged,
    Key,
    Outside,
    Player,
    Totals,
    World,
)

UNAVAILABLE, NOT_FINITE = -1, -2  # in place of an action


@loop
def decide(params: Any, state: Any, instance: Instance, key: Key) -> Decision:
    """Choose an action for one instance. Writes the state only where the policy takes note of decisions (`mark`)."""
    decision = select(params, state, instance, key)
    mark(params, state, instance, decision, key)
    return decision


@loop
def learn(params: Any, state: Any, instance: Instance, decision: Decision, feedback: Feedback, key: Key) -> None:
    """Learn from one feedback: write `state` in place."""
    update(params, state, instance, decision, feedback, key)


@loop
def decide_bound(
    player: Bound[Player], number: int, context: Any, available: Array, unit: np.uint64, time: int
) -> tuple[int, float]:
    """`decide` for actions that are numbers: return one and its propensity.

    The action is UNAVAILABLE where the policy's cannot be taken, and NOT_FINITE where the context has such a number. A
    call from Python takes .15 us beside the kernels; one of `decide` takes 1.1, and a look at the context as much.
    """
    if not is_finite(context):
        return NOT_FINITE, math.nan
    params, state, run, _ = opened(player)
    instance, key = Instance(number, context, available, unit, time), Key(run, number)
    decision = select(params, state, instance, key)
    action = int(decision.action)
    if not (0 <= action < len(available) and available[action]):
        return UNAVAILABLE, math.nan
    mark(params, state, instance, decision, key)
    return action, float(decision.propensity)


@loop
def learn_bound(
    player: Bound[Player],
    number: int,
    context: Any,
    available: Array,
    unit: np.uint64,
    time: int,
    action: int,
    propensity: float,
    reward: float,
) -> None:
    """`learn` for actions that are numbers; the detail of the feedback is what the player's holds."""
    params, state, run, detail = opened(player)
    decision, feedback = Decision(action, propensity), Feedback(reward, detail)
    instance = Instance(number, context, available, unit, time)
    update(params, state, instance, decision, feedback, Key(run, number))


@loop
def explain(
    params: Any, state: Any, instance: Instance, law: Array, scores: Array, widths: Array, parts: Array
) -> None:
    """Say why `select` decides as it does. Writes float64[k] each, and `parts` float64[k, m]; NaN for no answer.

    `law` becomes the probability of each available action, `scores` and `widths` what the policy expects of it and how
    sure it is, row a of `parts` what each feature adds to the score of action a.
    """
    appraise(params, state, instance, scores, widths)
    write_law(params, state, instance, law)
    for a in range(len(instance.available)):
        if instance.available[a]:
            attribute(params, state, instance, a, parts[a])


@loop
def tell_law(params: Any, state: Any, instance: Instance, law: Array) -> None:
    """Write how likely `select` takes each available action to `law`, float64[k]; NaN for no answer."""
    write_law(params, state, instance, law)


@loop
def recommendation(params: Any, state: Any, key: Key) -> int:
    """Return what a policy would commit to now: a slot or a hypothesis, -1 where there is nothing. Only reads."""
    return recommend(params, state, key)


@loop
def verdict(params: Any, state: Any, key: Key, world: World) -> tuple[int, float]:
    """Return the hypothesis that a policy would recommend now, and what that costs. Only reads."""
    recommended = recommend(params, state, key)
    return recommended, recommendation_loss(world.params, world.state, recommended)


@loop
def certificate(params: Any, state: Any) -> Certificate:
    """Return a policy's own bound on its regret so far. Only reads."""
    return certify(params, state)


@loop
def turn(
    params: Any,
    state: Any,
    run: np.uint64,
    number: int,
    what: int,
    slot: int,
    pulls: int,
    propensity: float,
    seen: Array,
    reward: float,
    detail: Array,
    following: int,
    context: Array,
    available: Array,
    move: Array,
) -> tuple[int, int, int, float, int]:
    """Learn what the move (what, slot, pulls) of decision `number` did, and make that of decision `following`.

    `seen` is what was available when the first was decided, `available` what is now, bool[slots + 2]; `move`, int64[3],
    is written. Returns the new move, its propensity, and the recommendation: `learn`, `decide` and `recommendation` in
    one call of 0.4 us, where Python makes 1.9 us of theirs and the tuples.
    """
    move[0] = what
    move[1] = slot
    move[2] = pulls
    instance = Instance(number, context, seen, NOBODY, 0)
    update(params, state, instance, Decision(move, propensity), Feedback(reward, detail), Key(run, number))
    instance, key = Instance(following, context, available, NOBODY, 0), Key(run, following)
    decision = select(params, state, instance, key)
    mark(params, state, instance, decision, key)
    action = decision.action
    return int(action[0]), int(action[1]), int(action[2]), decision.propensity, recommend(params, state, key)


@loop
def simulate(
    params: Any,
    state: Any,
    run: np.uint64,
    world: World,
    pending: Pending | None,
    totals: Totals,
    columns: Columns | None,
    outside: Outside | None,
    start: int,
    most: int,
    until: int,
) -> tuple[int, int]:
    """Run decisions from number `start` on against an environment, `most` of them or until so many trials are made.

    Returns the number of the next decision, and how many rows were written to `columns`: each event, where these hold
    2 (most + delay_max) rows. -1 rows say that the policy made a move that cannot be made, at that number.
    Without `columns`, without `pending` where no feedback is late, and without `outside` where all rewards are known to
    suit the policy, what they need is not compiled: a fifth of ucb1.
    Simulating in two parts gives the bits of simulating in one.
    """
    row = 0
    total_trials, trials_before = totals.trials[0], totals.trials[1]
    total_reward, reward_before = totals.reward[0], totals.reward[1]
    total_regret, regret_before = totals.regret[0], totals.regret[1]
    t = start
    while t < start + most and total_trials < until:
        key = Key(run, t)
        nature = Key(world.run, t)
        observe(world.params, world.state, t, world.context, world.available, nature)
        instance = Instance(t, world.context, world.available, NOBODY, 0)
        decision = select(params, state, instance, key)
        if not allowed(world.rules, decision.action, world.available):
            row = -1
            break
        mark(params, state, instance, decision, key)
        reward, delay = _answer(world.params, world.state, instance, decision.action, world.detail, nature)
        feedback = Feedback(reward, world.detail)
        if outside is not None:
            count_outside(outside, reward)
        made = trials(world.rules, decision.action, world.detail)
        if made > 1:  # never for arms: remembering costs a simple policy 3 % of its speed
            trials_before, reward_before, regret_before = total_trials, total_reward, total_regret
        total_trials += made
        total_reward += reward
        total_regret += regret(world.params, world.state, instance, decision.action)
        if columns is not None:
            put_decision(columns, row, t, instance, decision)
            row += 1
        if delay == 0:
            update(params, state, instance, decision, feedback, key)
            if columns is not None:
                put_feedback(columns, row, t, instance, decision, feedback)
                row += 1
        elif pending is not None:
            hold(pending, t, instance, decision, feedback, delay)
        if pending is not None:
            row = _deliver(params, state, run, pending, columns, t, row)
        t += 1
    totals.trials[0], totals.trials[1] = total_trials, trials_before
    totals.reward[0], totals.reward[1] = total_reward, reward_before
    totals.regret[0], totals.regret[1] = total_regret, regret_before
    return t, row


@kernel
def _answer(params: Any, state: Any, instance: Instance, action: Action, detail: Array, key: Key) -> tuple[float, int]:
    """Let the world respond. -0.0 becomes 0.0, as it does at every other interface, or states would differ by a bit."""
    reward, delay = respond(params, state, instance, action, detail, key)
    for j in range(len(detail)):
        detail[j] += 0.0
    return reward + 0.0, delay


@loop
def replay(params: Any, state: Any, run: np.uint64, columns: Columns) -> int:
    """Make every decision of `columns` again, learn every feedback; return the row of the first difference, or -1."""
    for row in range(len(columns.kind)):
        number = columns.number[row]
        instance = row_instance(number, columns, row)
        key = Key(run, number)
        if columns.kind[row] == DECIDE:
            decision = select(params, state, instance, key)
            logged = columns.propensity[row]
            same = decision.propensity == logged or (math.isnan(decision.propensity) and math.isnan(logged))
            if not (same and same_action(columns.action, row, decision.action)):
                return row
            mark(params, state, instance, decision, key)
        elif columns.kind[row] == LEARN:
            decision = decision_at(columns.action, row, columns.propensity[row])
            update(params, state, instance, decision, Feedback(columns.reward[row], columns.detail[row]), key)
    return -1


@loop
def decide_all(params: Any, state: Any, run: np.uint64, columns: Columns) -> None:
    """Make the decision of every row of `columns`, from its number, context and mask, and learn nothing meanwhile.

    Writes the actions and the propensities.
    """
    for row in range(len(columns.kind)):
        number = columns.number[row]
        instance = row_instance(number, columns, row)
        decision = select(params, state, instance, Key(run, number))
        mark(params, state, instance, decision, Key(run, number))
        put_action(columns.action, row, decision.action)
        columns.propensity[row] = decision.propensity


@loop
def fold(
    params: Any, state: Any, run: np.uint64, columns: Columns, predicted: Array | None, found: Judged | None
) -> None:
    """Learn every feedback of `columns`, and take note of every decision; `found`, where given, is as in `follow`."""
    for row in range(len(columns.kind)):
        number = columns.number[row]
        instance = row_instance(number, columns, row)
        decision = decision_at(columns.action, row, columns.propensity[row])
        if columns.kind[row] == DECIDE:
            mark(params, state, instance, decision, Key(run, number))
        elif columns.kind[row] == LEARN:
            if predicted is not None and found is not None:
                _judge(params, state, instance, columns.action[row], row, predicted, found, Key(run, number))
            feedback = Feedback(columns.reward[row], columns.detail[row])
            update(params, state, instance, decision, feedback, Key(run, number))


@loop
def match(
    params: Any, state: Any, run: np.uint64, columns: Columns, start: int, matched: int, predicted: Array, found: Judged
) -> int:
    """Let a policy decide on logged rows and learn where it agrees (Li et al. 2011); return the number matched so far.

    Each row of `columns` is one logged decision with its reward; `start` is the number of rows before these. Writes
    what is `found`, by the rewards that are `predicted`, float64[n, k] (with no columns: there is nothing expected).
    The policy's clock counts the matches; its draws are keyed by the row, so a rejected draw is not drawn again.
    """
    for row in range(len(columns.kind)):
        instance = row_instance(matched, columns, row)
        key = Key(run, start + row)
        action = columns.action[row]
        decision = _judge(params, state, instance, action, row, predicted, found, key)
        if decision.action == action:
            mark(params, state, instance, decision, key)
            update(params, state, instance, decision, Feedback(columns.reward[row], columns.detail[row]), key)
            matched += 1
    return matched


@loop
def follow(
    params: Any, state: Any, run: np.uint64, columns: Columns, start: int, predicted: Array, found: Judged
) -> None:
    """Let a policy decide on logged rows, and learn each as it was logged. Writes what `match` writes.

    It learns what someone else decided, with that one's propensity; its clock counts the rows.
    """
    for row in range(len(columns.kind)):
        instance = row_instance(start + row, columns, row)
        key = Key(run, start + row)
        action = columns.action[row]
        _judge(params, state, instance, action, row, predicted, found, key)
        logged = Decision(action, columns.propensity[row])
        mark(params, state, instance, logged, key)
        update(params, state, instance, logged, Feedback(columns.reward[row], columns.detail[row]), key)


@loop
def watch(
    params: Any, state: Any, run: np.uint64, columns: Columns, start: int, clock: int, predicted: Array, found: Judged
) -> None:
    """Let a policy decide on logged rows, always as if after `clock` decisions, and learn nothing.

    Writes what `match` writes.
    """
    for row in range(len(columns.kind)):
        instance = row_instance(clock, columns, row)
        key = Key(run, start + row)
        _judge(params, state, instance, columns.action[row], row, predicted, found, key)


@kernel
def _judge(
    params: Any, state: Any, instance: Instance, action: int, row: int, predicted: Array, found: Judged, key: Key
) -> Decision:
    """Decide, and write row `row` of what a policy makes of a logged action."""
    decision = select(params, state, instance, key)
    found.chosen[row] = decision.action
    certain = decision.propensity == 1.0  # no need to ask for a law: this halves the time of LinUCB
    known = 0.0 if certain else recall(params, state, instance, action)
    if certain or math.isnan(known):
        certain = True
        known = 1.0 if decision.action == action else 0.0
    found.target[row] = known
    if predicted.shape[1] > 0:
        mean = 0.0
        if certain:
            mean = predicted[row, decision.action]
        else:
            for a in range(len(instance.available)):
                if instance.available[a]:
                    mean += recall(params, state, instance, a) * predicted[row, a]
        found.expected[row] = mean
    return decision


@loop
def play_out(
    params: Any,
    state: Any,
    fresh: Any,
    run: np.uint64,
    nature: np.uint64,
    kind: int,
    means: Array,
    first: int,
    context: Array,
    available: Array,
    detail: Array,
    queries: Array,
    answers: Array,
    recommended: Array,
) -> None:
    """Let a policy play out its budget of T queries against given means, float64[M, n], L times each, all queries open.

    Every rollout begins with the state `fresh`; `state` is room for another one, and so are `context` float64[0],
    `available` bool[n], all True, and `detail` float64[1]. Writes `queries` int64[M, L, T], `answers` float64[M, L, T]
    and what is `recommended` int64[M, L]. Rollout r of all, counted from `first`, draws with the numbers from
    (T + 1) r on, so that none shares a draw with another.
    """
    budget = queries.shape[2]
    for i in range(queries.shape[0]):
        for j in range(queries.shape[1]):
            reset(state, fresh)
            number = (first + i * queries.shape[1] + j) * (budget + 1)
            for t in range(budget):
                key = Key(run, number + t)
                instance = Instance(t, context, available, NOBODY, 0)
                decision = select(params, state, instance, key)
                mark(params, state, instance, decision, key)
                queries[i, j, t] = decision.action
                detail[0] = answers[i, j, t] = draw_answer(kind, means[i, decision.action], Key(nature, number + t))
                update(params, state, instance, decision, Feedback(0.0, detail), key)
            recommended[i, j] = recommend(params, state, Key(run, number + budget))


@loop
def answer_all(
    params: Any,
    states: Any,
    runs: Array,
    times: Array,
    acting: Array,
    actions: Array,
    contexts: Any,
    available: Array,
    details: Array,
    rewards: Array,
    regrets: Array,
    delays: Array,
    made: Array,
    rules: Any,
) -> None:
    """Let those of n copies of an environment that are `acting`, bool[n], answer, each at a time of its own, int64[n].

    Writes rewards, regrets, delays and the trials `made` by it, each [n]; 0 for those that are not acting.
    `states` holds the copies' states stacked along a new first axis; `runs` are their keys, uint64[n]; `rules` are
    those of the problem's choice.
    """
    for i in range(len(runs)):
        rewards[i] = regrets[i] = 0.0
        delays[i] = made[i] = 0
        if acting[i]:
            state = row_of(states, i)
            instance = instance_at(times[i], contexts, i, available[i], NOBODY, 0)
            rewards[i], delays[i] = _answer(params, state, instance, actions[i], details[i], Key(runs[i], times[i]))
            made[i] = trials(rules, actions[i], details[i])
            regrets[i] = regret(params, state, instance, actions[i])


@loop
def observe_all(params: Any, states: Any, runs: Array, times: Array, contexts: Any, available: Array) -> None:
    """Let n copies of an environment show what arrives, at times int64[n]: writes contexts and `available` [n, ...]."""
    for i in range(len(runs)):
        instance = instance_at(times[i], contexts, i, available[i], NOBODY, 0)
        observe(params, row_of(states, i), times[i], instance.context, instance.available, Key(runs[i], times[i]))


@routine
def _deliver(
    params: Any, state: Any, run: np.uint64, pending: Pending, columns: Columns | None, t: int, row: int
) -> int:
    """Learn what is due at `t`, oldest decision first; return the next row of `columns`."""
    date = t % len(pending.first)
    place = pending.first[date]
    while place >= 0:
        number = pending.number[place]
        instance = instance_at(number, pending.context, place, pending.available[place], NOBODY, 0)
        decision = decision_at(pending.action, place, pending.propensity[place])
        feedback = Feedback(pending.reward[place], pending.detail[place])
        update(params, state, instance, decision, feedback, Key(run, number))
        if columns is not None:
            put_feedback(columns, row, number, instance, decision, feedback)
            row += 1
        place = pending.following[place]
    pending.first[date] = -1
    return row
