"""`onearm replay`: policies on a logged table, and what they are worth."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import click
import numpy as np

from onearm.api.cli.files import format_option, read_log
from onearm.api.cli.options import policy_file_option, policy_option, seed_option
from onearm.api.cli.show import as_json, print_json, print_table, progress, rate
from onearm.engine import estimate, matching
from onearm.engine.vocabulary import Array
from onearm.policies import catalog


@click.command()
@click.argument("log", type=click.Path(path_type=Path))
@format_option
@policy_option
@policy_file_option
@seed_option
@as_json
def replay(log: Path, form: str | None, policies: tuple[str, ...], seed: int, as_json: bool) -> None:
    """Let policies decide on the rows of LOG, and estimate what each would have earned.

    LOG is our own export, a table with the columns action and reward (.jsonl, .parquet), or the Open Bandit Dataset
    (.csv). `match` is the mean reward where policy and log agree (for logs drawn uniformly), `snips` weights every
    row by the policy's probability over the logged one.

    \b
    Example:
      onearm simulate --env bernoulli --policy uniform --horizon 10000 --log out.jsonl
      onearm replay out.jsonl --policy ucb1 --policy thompson_beta
    """
    started = time.process_time()
    table = read_log(log, form)
    rows = table.table
    seconds = time.process_time() - started
    contenders = [catalog.parse(policy) for policy in policies]
    found = []
    with progress("replaying", len(rows.kind) * len(contenders), "rows") as advance:
        for policy in contenders:
            found.append(matching.match(policy, table.problem, rows, seed=seed, progress=advance))
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
    for kind, count in bad.items():
        lines = ", ".join(map(str, table.bad_lines.lines[kind]))
        click.echo(f"bad lines, {kind}: {count} (lines {lines}{', ...' if count > 20 else ''})", err=True)


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
