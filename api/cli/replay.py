"""`onearm replay`: policies on a logged table, and what they are worth."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import click
import numpy as np

from onearm.api.cli.files import form_of, format_option, read_log
from onearm.api.cli.options import policy_file_option, policy_option, seed_option
from onearm.api.cli.rehearsing import rehearse_all, tell_bad_lines
from onearm.api.cli.show import as_json, print_json, print_table, progress, rate
from onearm.engine import estimate, matching
from onearm.engine.errors import InvalidInput
from onearm.engine.features import DIMENSION_MAX
from onearm.engine.vocabulary import Array, Policy
from onearm.policies import catalog

DIMENSION = 256  # of named features for policies that read rows of numbers


@click.command()
@click.argument("log", type=click.Path(path_type=Path))
@format_option
@click.option(
    "--dimension",
    type=click.IntRange(1, DIMENSION_MAX),
    help=f"dsjson: hash features to so many columns; default: {DIMENSION}, for policies that read no named features.",
)
@click.option("--segments", type=int, help="Vectors: show the regret against the best point of so many parts, too.")
@policy_option
@policy_file_option
@seed_option
@as_json
def replay(
    log: Path,
    form: str | None,
    dimension: int | None,
    segments: int | None,
    policies: tuple[str, ...],
    seed: int,
    as_json: bool,
) -> None:
    """Let policies decide on the rows of LOG, and estimate what each would have earned.

    LOG is our own export, a table with the columns action and reward (.jsonl, .parquet), the Open Bandit Dataset
    (.csv), or a log of Vowpal Wabbit (--format dsjson). `match` is the mean reward where policy and log agree (for logs
    drawn uniformly), `snips` weights every row by the policy's probability over the logged one. Of vectors with all
    losses nothing is estimated: what each policy would have lost is computed, with its regret and its certificate.

    \b
    Example:
      onearm simulate --env bernoulli --policy uniform --horizon 10000 --log out.jsonl
      onearm replay out.jsonl --policy ucb1 --policy thompson_beta
    """
    form = form_of(log, form)
    if dimension is not None and form != "dsjson":
        raise InvalidInput("no_dimension", f"{log} is no dsjson log: --dimension is for features that have names")
    contenders = [catalog.parse(policy) for policy in policies]
    started = time.process_time()
    kinds = [_dimension(policy, form, dimension) for policy in contenders]
    logs = {kind: read_log(log, form, kind) for kind in dict.fromkeys(kinds)}
    table = logs[kinds[0]]
    if table.problem.action_kind == "vector":
        seconds = time.process_time() - started
        parts = 1 if segments is None else segments
        rehearse_all(log, table, contenders, seed=seed, segments=parts, as_json=as_json, read_seconds=seconds)
        return
    if segments is not None:
        raise InvalidInput("no_segments", f"{log} is no log of vectors: --segments is for regret against points")
    rows = table.table
    seconds = time.process_time() - started
    found = []
    with progress("replaying", len(rows.kind) * len(contenders), "rows") as advance:
        for policy, kind in zip(contenders, kinds, strict=True):
            ran = matching.match(policy, logs[kind].problem, logs[kind].table, seed=seed, progress=advance)
            found.append(ran)
    seconds += sum(run.cpu_seconds for run in found)
    estimates = [one for run in found for one in _estimates(run, rows.reward, rows.propensity)]
    events = len(rows.kind)
    bad = dict(table.bad_lines.count)
    if as_json:
        print_json(
            {
                "events": events,
                "estimates": estimates,
                "bad_lines": bad,
                "bad_line_numbers": table.bad_lines.lines,
                "events_per_second": events * len(contenders) / max(seconds, 1e-9),
            }
        )
        return
    fields = ["policy", "method", "value", "stderr", "low", "high", "matched"]
    body = [[one[field] for field in fields] for one in estimates]
    title = f"{log.name}: {events:,} decisions, logged mean reward {np.mean(rows.reward):.6g}"
    note = f"{rate(events * len(contenders) / max(seconds, 1e-9))} rows/s, reading included; 95 % normal intervals"
    print_table(title, [*fields[:3], "+-", *fields[4:]], body, note)
    for text in dict.fromkeys(f"{one['method']}: {one['note']}" for one in estimates if one["note"]):
        click.echo(text, err=True)
    tell_bad_lines(table)


def _dimension(policy: Policy, form: str, dimension: int | None) -> int | None:
    """Return the number of columns that named features are hashed to for a policy; None for none."""
    return dimension or (None if form != "dsjson" or "named" in policy.contexts else DIMENSION)


def _estimates(run: matching.Matching, reward: Array, propensity: Array) -> list[dict[str, Any]]:
    by_match = estimate.match(reward, run.agrees)
    found = [by_match]
    known = not np.isnan(propensity).any()
    if known:
        found.append(estimate.snips(reward, propensity, run.target))
    if not known:
        by_match = by_match._replace(note="the log has no propensities: no snips; match holds if it drew uniformly")
    elif not math.isclose(float(propensity.min()), float(propensity.max()), rel_tol=1e-6):
        by_match = by_match._replace(note="the log was not drawn uniformly: trust snips")
    found[0] = by_match
    return [{"policy": run.policy["name"], "params": run.policy["params"], **one._asdict()} for one in found]
