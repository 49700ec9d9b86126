"""What a policy knows that joins from another experiment: a copy of its state there, after an event.

It is part of the change with which it joins, and so of the log: whoever folds that, in a database or from an export,
needs nothing of where it came from.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ...engine import snapshot
from ...engine.errors import Conflict, InvalidInput
from ...engine.growth import grown
from ...engine.storage.store import Store
from ...engine.vocabulary import Policy
from ..experiment.lineup import leader, states_of
from ..experiment.lineup_schemas import Origin
from .folded import finished, fold_log
from .history import History
from .live import Live

BYTES_MAX = 1_000_000  # of a state that comes along: changes are read with every page of a log


class Known(NamedTuple):
    """What a policy knows that joins."""

    origin: Origin
    state: Any
    n_arms: int  # that it knows of


def state_of_origin(store: Store, origin: Origin, source: Live, last: int, live: Live, policy: Policy) -> Known:
    """Return what a policy knew in another experiment, `source`, which is to join this one, `live`.

    Without a seq it is that after the event `last`, without a number that of whoever was live then. For a worker
    thread; up to `last` the log of the source must be committed. Raises `InvalidInput` where it is another policy, or
    for another problem, `Conflict` where the log there does not reach it any more.
    """
    seq = last if origin.seq is None else origin.seq
    if seq > last:
        raise InvalidInput("ahead_of_log", f"seq is {seq}, and the log of {origin.experiment!r} ends at {last}")
    _check_reached(origin, source, seq)
    history = History(source.created, store.changes(source.row.key), source.kind.change_types)
    number = leader(history.members(seq)).policy if origin.policy is None else origin.policy
    if number not in history.spec(seq).numbers:
        raise InvalidInput(
            "did_not_decide",
            f"policy {number} of {origin.experiment!r} did not decide at seq {seq}, and what it knew then is not kept: "
            f"name one that did, {', '.join(map(str, history.spec(seq).deciding))}",
        )
    try:
        found = finished(fold_log(source.row, source.created, source.kind, store, seq))
    finally:
        _check_reached(origin, source, seq)  # or what it reads has become slim meanwhile
    _check_same(origin, source, history.member(number)[0].spec, found.history.roster.labels, live, policy)
    state = states_of(found.spec, found.state)[number]
    _check_size(state)
    return Known(Origin(origin.experiment, seq, number), state, len(found.history.roster.labels))


def _check_reached(origin: Origin, source: Live, seq: int) -> None:
    """Refuse a seq before the base of a log: what lies before that is slim, or some of it erased."""
    if seq < source.floor:
        raise Conflict(
            "compacted", f"the log of {origin.experiment!r} begins at its base, event {source.floor}: name a later seq"
        )


def is_origin(there: Origin | None, asked: Origin | None) -> bool:
    """Tell whether an origin is the one that is asked for, where a seq or a number that is left out is any."""
    if there is None or asked is None:
        return there is asked
    seq = there.seq if asked.seq is None else asked.seq
    return there == Origin(asked.experiment, seq, there.policy if asked.policy is None else asked.policy)


def grown_to_here(known: Known, policy: Policy, live: Live) -> Any:
    """Return what a policy brings along as a state with the arms of now. The caller has the turn of `live`.

    Its working space is made here: it may say which arms have a tag, and there other arms may have it.
    """
    if live.problem.n_arms == known.n_arms:
        return snapshot.unpack([snapshot.pack(known.state)], like=policy.init(policy.params, live.problem))
    state = grown(policy, known.state, live.problem)
    _check_size(state)
    return state


def _check_size(state: Any) -> None:
    """Refuse a state that is too large to come along."""
    if (size := snapshot.size(state)) > BYTES_MAX:
        raise InvalidInput(
            "too_large", f"its state takes {size:,} bytes, and {BYTES_MAX:,} may come along: begin with nothing"
        )


def _check_same(
    origin: Origin, source: Live, spec: dict[str, Any], labels: tuple[str, ...], live: Live, policy: Policy
) -> None:
    """Refuse what a policy of another experiment knows where it would mean something else here."""
    if spec != policy.spec:
        raise InvalidInput(
            "other_policy",
            f"what {origin.experiment!r} has is {spec}, and what is to join {policy.spec}: a state means something "
            "to its own policy alone",
        )
    if live.roster.labels[: len(labels)] != labels:
        raise InvalidInput(
            "other_arms",
            f"the arms of {origin.experiment!r} were {', '.join(labels)} then, and here are "
            f"{', '.join(live.roster.labels)}: they must be these, in this order, and may be followed by more",
        )
    there, here = source.created, live.created
    if (there.intake, there.problem.reward_range) != (here.intake, here.problem.reward_range):
        raise InvalidInput(
            "other_problem",
            f"contexts, or the range of rewards, are others in {origin.experiment!r}: they must be the same here",
        )
