"""`onearm warm-start`: a policy that knows a log, as an experiment for the service."""

from __future__ import annotations

import time
from collections import deque
from contextlib import ExitStack

import click

from ...engine.errors import counted
from ...engine.snapshot import digest
from ...engine.storage.connections import is_there
from ...engine.storage.rows import PLAIN, Naming, Wanted
from ...engine.storage.store import Store
from ...engine.vocabulary import Policy
from ..console import finite, print_json, progress
from ..experiment.tenants import parts_of
from ..offline.asked import Answer, Question, answer
from ..offline.candidate_kinds import of_policy
from ..offline.data import as_data
from ..offline.options import Options
from ..offline.reading import check_naming, place_of
from ..service.given_log import given, put, spec_of
from ..service.written import check_free
from .any_log import events_of
from .json_option import as_json
from .offline_options import RangeType, decision_options
from .options import DatabaseCommand, database_option, format_option, policy_file_option, seed_option
from .telling import tell

LEARN = 0.5  # of the log: what the policy learns before it is judged, frozen, on the rest


@click.command(cls=DatabaseCommand)
@click.argument("log")
@click.option("--experiment", required=True, metavar="NAME", help="What the new experiment is called.")
@click.option(
    "--policy", metavar="NAME[:JSON]", help="The policy that learns; default: the usual one for such a problem."
)
@policy_file_option
@format_option
@decision_options
@click.option("--reward-range", type=RangeType(), metavar="LOW:HIGH", help="The least and the greatest reward allowed.")
@database_option
@seed_option
@as_json
def warm_start(
    log: str,
    experiment: str,
    policy: str | None,
    form: str | None,
    reward_range: tuple[float, float] | None,
    database: str,
    seed: int,
    naming: Naming,
    as_json: bool,
) -> None:
    """Make an experiment from LOG, whose policy has learned all of it, and say what the policy is worth.

    LOG is a file that `onearm convert` knows; options say which columns of a table are what. Its decisions become given
    ones of the new experiment, from which the service goes on. First the policy learns half of the log, and is judged,
    frozen, on the rest. No service may have the database open.

    \b
    Examples:
      onearm warm-start cooked.dsjson --experiment news --policy squarecb
      onearm warm-start clicks.csv --experiment shop --action banner --reward clicked --propensity chance
    """
    if naming != PLAIN:
        check_naming(place_of(log, form, None), naming)
    with ExitStack() as stack:
        events, _ = events_of(log, form, None, stack, "reading", naming)
        spec = spec_of(events, experiment, policy, reward_range, seed)
    store = Store.open(database) if is_there(database) else None
    try:
        if store is not None:
            check_free(store, experiment)
        evaluation, speed = _judged(log, form, naming, spec.policy, reward_range, seed)
        if store is None:  # one is made of a log alone that can be learned
            with ExitStack() as stack:
                events, _ = events_of(log, form, None, stack, "checking", naming)
                deque(given(events, spec), maxlen=0)
            store = Store.open(database)
        with ExitStack() as stack:
            events, _ = events_of(log, form, None, stack, "learning", naming)
            found = put(store, experiment, spec, given(events, spec), time.time_ns() // 1000)
    finally:
        if store is not None:
            store.close()
    data = finite(as_data(evaluation))
    if as_json:
        made = {"experiment": experiment, "policy": spec.policy.spec, "decisions": found.number}
        print_json({**made, "rewards": found.rewards, "digest": digest(found.state), "evaluation": data})
        return
    tell(evaluation, data, f"{log}: {spec.policy.name}, which learned half of it, on the other half", speed)
    learned = f"{counted(found.number, 'decision')} and {counted(found.rewards, 'reward')}"
    click.echo(f"{parts_of(experiment)[1]} has learned {learned}; onearm serve goes on from there", err=True)


def _judged(
    log: str, form: str | None, naming: Naming, policy: Policy, reward_range: tuple[float, float] | None, seed: int
) -> Answer:
    """Return what a policy is worth that learned the first half of a log, on the rest; and decisions a second."""
    options = Options(("snips",), learn=LEARN, seed=seed, reward_range=reward_range)
    with ExitStack() as stack:
        question = Question([of_policy(policy)], options, Wanted(naming=naming), named_methods=False)
        return answer(place_of(log, form, None), question, stack, progress)
