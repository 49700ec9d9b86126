"""`onearm plan`: fit a world of states to a log, and print what is best in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np

from ...engine.errors import InvalidInput, as_seen
from ...engine.problem import check_seed
from ...engine.vocabulary import Array
from ..console import print_json, print_table, progress
from ..offline.fitted_world import DRAWS, FEW, HARDLY, LEVEL, Best, FittedWorld, Worth, fit, worth
from ..offline.fitted_world import plan as planned
from ..offline.transitions import FORMS, NAMES, Transitions, read_transitions
from .json_option import as_json
from .options import Whole, seed_option

ROWS_MAX = 60  # of a table for people
DRAWS_MAX = 10_000


@click.command()
@click.argument("log", type=click.Path(path_type=Path))
@click.option("--format", "form", type=click.Choice(FORMS), help="The format of the log.  [default: by its ending]")
@click.option("--state", metavar="COLUMN", help=f"The state.  [default: {', '.join(NAMES['state'])}]")
@click.option("--action", metavar="COLUMN", help=f"The action.  [default: {', '.join(NAMES['action'])}]")
@click.option("--reward", metavar="COLUMN", help=f"The reward.  [default: {', '.join(NAMES['reward'])}]")
@click.option(
    "--next-state", metavar="COLUMN", help=f"The state that came next.  [default: {', '.join(NAMES['next_state'][:3])}]"
)
@click.option("--ended", metavar="COLUMN", help="Whether the unit ended.  [default: where no state came next]")
@click.option("--begins", metavar="COLUMN", help="Whether a unit began.  [default: in the first line alone]")
@click.option(
    "--target",
    "targets",
    multiple=True,
    metavar="TARGET",
    help="What to judge besides what was done: action:ID or uniform. May be given several times.",
)
@click.option(
    "--draws",
    type=Whole(20, DRAWS_MAX),
    default=DRAWS,
    show_default=True,
    help="How many worlds to draw from the posterior.",
)
@seed_option
@as_json
def plan(
    log: Path,
    form: str | None,
    targets: tuple[str, ...],
    draws: int,
    seed: int,
    as_json: bool,
    **columns: str | None,
) -> None:
    """Find from a log what is best in the long run where decisions move a state.

    The log is an export of an experiment with states, or a table in JSON lines, CSV or Parquet: in which state, what
    was done, what it paid, and which state came next, or that the unit ended. A world is fitted to it; printed are its
    best policy, what that gains in each decision, what others gain, and how sure that is.

    \b
    Example:
      onearm simulate --env admission --policy uniform --horizon 5000 --log a.jsonl
      onearm plan a.jsonl --target action:1
    """
    read = read_transitions(log, form, {name: column for name, column in columns.items() if column is not None})
    world = fit(read)
    laws = {target: _law(target, world, read) for target in dict.fromkeys(("logged", *targets))}
    with progress("planning in worlds of the posterior", draws, "worlds") as advance:
        best = planned(world, read, seed=check_seed(seed), draws=draws, progress=advance)
    judged = {target: worth(world, read, law, seed=seed, draws=draws) for target, law in laws.items()}
    if as_json:
        print_json(_data(read, world, best, judged))
        return
    _tell(read, world, best, judged)


def _law(target: str, world: FittedWorld, log: Transitions) -> Array:
    """Return the probabilities of a target's actions in each state, float64[S, A]."""
    if target == "uniform":
        return world.is_open / world.is_open.sum(axis=1, keepdims=True)
    if target == "logged":
        done = np.where(world.visits.any(axis=1, keepdims=True), world.visits, world.is_open)
        return done / done.sum(axis=1, keepdims=True)
    kind, _, name = target.partition(":")
    labels = [str(action) for action in log.actions]
    if kind != "action" or name not in labels:
        raise InvalidInput(
            "bad_target",
            f"--target is {as_seen(target)}: it must be uniform, or action:ID with one of {', '.join(labels[:20])}",
        )
    return np.repeat(np.eye(len(labels))[[labels.index(name)]], len(log.states), axis=0)


def _data(log: Transitions, world: FittedWorld, best: Best, judged: dict[str, Worth]) -> dict[str, Any]:
    """Return everything, to be printed as JSON."""
    found = best.found
    value = world.reward + world.law @ found.bias - found.gain
    return {
        "decisions": len(log.reward),
        "states": len(log.states),
        "actions": len(log.actions),
        "notes": log.notes,
        "level": LEVEL,
        "gain": best.worth._asdict(),
        "targets": {target: each._asdict() for target, each in judged.items()},
        "policy": [
            {
                "state": log.states[s],
                "action": log.actions[a] if world.visits[s].any() else None,
                "agreement": best.agreement[s, a],
                "worth": found.bias[s],
                "decisions": int(world.visits[s].sum()),
                "q": {str(log.actions[b]): value[s, b] for b in range(len(log.actions)) if world.visits[s, b] > 0.0},
            }
            for s, a in enumerate(found.policy)
        ],
    }


def _tell(log: Transitions, world: FittedWorld, best: Best, judged: dict[str, Worth]) -> None:
    for note in log.notes:
        click.echo(note, err=True)
    named = {"best policy": best.worth, **judged}
    body = [[name, each.gain, each.low, each.high, each.effective_sample_size] for name, each in named.items()]
    print_table(
        "reward of a decision in the long run",
        ["policy", "reward", "low", "high", "effective\nsample size"],
        body,
        f"Decisions: {len(log.reward):,}, states: {len(log.states)}. {100 * LEVEL:g} % of the posterior lies between "
        "low and high. The best policy was chosen by the same log: new decisions may earn less",
    )
    for name, each in named.items():
        if each.hardly_seen > HARDLY:
            click.echo(
                f"do not use the figures of {name}: {100 * each.hardly_seen:.0f} % of its time it would do what the "
                f"log did fewer than {FEW} times, or never, in the same state",
                err=True,
            )
    rows = [
        [_said(log.states[s]), log.actions[a], int(world.visits[s].sum()), best.found.bias[s], best.agreement[s, a]]
        for s, a in enumerate(best.found.policy)
        if world.visits[s].any()
    ]
    more = f"; {len(rows) - ROWS_MAX} more states with --json" if len(rows) > ROWS_MAX else ""
    print_table(
        "best policy",
        ["state", "action", "decisions", "worth", "agreement"],
        rows[:ROWS_MAX],
        "worth: of beginning there, beside the worst state; agreement: the share of worlds of the posterior where the "
        f"action is best{more}",
    )


def _said(label: Any) -> str:
    return ", ".join(f"{name} {value}" for name, value in label.items()) if isinstance(label, dict) else str(label)
