"""`onearm simulate`: policies against an environment."""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Any

import click
import numpy as np

from ...engine.errors import InvalidInput, RewardWarning, counted
from ...engine.rewards import said_of
from ...engine.simulation import Curves, Simulation
from ...engine.simulation import simulate as run_experiment
from ...engine.vocabulary import Environment, Policy
from ...envs import catalog as env_catalog
from ...policies import catalog as policy_catalog
from ..console import print_json, print_table, progress
from ..experiment.worlds import in_words
from ..log_files import writer
from ..rate import rate
from ..scheduling.scheduler import opened
from ..scheduling.sweep import sweep
from ..simulated import TOLD_APART, certificate_of, contender, differences, horizon_of, summary, title_of, told
from ..swept import swept
from .catalog import named
from .json_option import as_json
from .options import (
    Whole,
    artefact_option,
    env_file_option,
    policy_file_option,
    policy_option,
    scheduler_option,
    seed_option,
    sweep_option,
)
from .run_files import Files, check_files, write_files

CURVE, SPEED = "over log t", "per\nsecond"  # columns that a narrow terminal leaves out


@click.command()
@click.option("--env", required=True, metavar="NAME[:JSON]", help="The environment, as name or name:{json params}.")
@env_file_option
@policy_option
@policy_file_option
@artefact_option
@click.option("--horizon", type=Whole(), help="Trials per replication; default: one pass, if the environment has one.")
@click.option("--passes", type=Whole(), help="Instead of --horizon: how often to go through the env's data.")
@click.option("--replications", type=Whole(), default=1, show_default=True, help="Independent runs, in threads.")
@sweep_option
@seed_option
@scheduler_option
@click.option("--plot", type=click.Path(path_type=Path), help="Draw regret over time into an .svg, .pdf or .png.")
@click.option("--csv", "curves", type=click.Path(path_type=Path), help="Write reward and regret over time as CSV.")
@click.option("--latex", type=click.Path(path_type=Path), help="Write the table for LaTeX (booktabs).")
@click.option(
    "--propensities",
    is_flag=True,
    help="Have every policy compute the law it draws from, as --log does; Thompson sampling is then far slower.",
)
@click.option(
    "--log",
    "log_file",
    type=click.Path(path_type=Path),
    help="Write every event of one run to this file, decisions with their propensities.",
)
@as_json
def simulate(
    env: str,
    policies: tuple[str, ...],
    horizon: int | None,
    passes: int | None,
    replications: int,
    sweeps: tuple[str, ...],
    seed: int,
    scheduler: str | None,
    plot: Path | None,
    curves: Path | None,
    latex: Path | None,
    propensities: bool,
    log_file: Path | None,
    as_json: bool,
) -> None:
    """Run policies against an environment and compare reward and regret.

    \b
    Example:
      onearm simulate --env 'bernoulli:{"mean":[0.1,0.5,0.9]}' --policy ucb1 \\
        --policy 'epsilon_greedy:{"epsilon":0.1}' --horizon 10000 --replications 20 --seed 1
    """
    world = env_catalog.parse(env)
    contenders = _contenders(policies, sweeps, propensities or log_file is not None)
    files = Files(plot, curves, latex)
    check_files(files)
    steps = horizon_of(world, horizon, passes)
    if log_file is not None and (scheduler is not None or any(files)):
        raise InvalidInput(
            "bad_log", "--log writes the events of one run: leave out --scheduler, --plot, --csv and --latex"
        )
    if log_file is not None:
        _write_log(log_file, world, contenders, steps, replications, seed)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RewardWarning)  # it is told below
        runs = _runs(contenders, world, scheduler, horizon=steps, replications=replications, seed=seed)
    for run in runs:
        if run.outside is not None:
            click.echo(f"warning: {said_of(run.outside, run.policy['name'], run.env['name'])}", err=True)
    write_files(files, runs)
    if as_json:
        print_json(told(runs))
    else:
        _print_runs(runs)


def _contenders(policies: tuple[str, ...], sweeps: tuple[str, ...], propensities: bool) -> list[Policy]:
    """Return the policies that are named, and with each value of a param that is swept."""
    given = [contender(policy, propensities) for policy in policies]
    more = [policy for text in sweeps for policy in swept(text, given)]
    known = [policy.spec for policy in given]
    return [*given, *(policy for policy in more if policy.spec not in known)]


def _runs(
    contenders: list[Policy], world: Environment, scheduler: str | None, *, replications: int, horizon: int, seed: int
) -> list[Curves]:
    """Run every contender, here or where a scheduler has it done."""
    asked: Any = {"horizon": horizon, "replications": replications, "seed": seed}
    trials = horizon * replications * len(contenders)
    if scheduler is not None:
        with opened(scheduler) as spread, progress("simulating", trials, "trials") as advance:
            return sweep(contenders, world, **asked, scheduler=spread, progress=advance)
    with progress("simulating", trials, "trials") as advance:
        return [run_experiment(policy, world, **asked, progress=advance) for policy in contenders]


def _write_log(
    file: Path, env: Environment, policies: list[Policy], horizon: int, replications: int, seed: int
) -> None:
    if len(policies) != 1 or replications != 1:
        raise InvalidInput("bad_log", "--log writes one run: give one --policy and one replication")
    run = Simulation(policies[0], env, horizon=horizon, seed=seed)
    run.compile(logged=True)  # before anything is written
    spec = {"policy": run.policy.spec, "env": env.spec, "seed": str(seed), **_declared(run)}
    with progress("simulating", horizon, "trials") as advance, writer(file, run.problem, spec) as out:
        while run.trials < horizon:
            before = run.trials
            out.write(run.advance_logged(min(run.logged_at_once, horizon - before)))
            advance(run.trials - before)
    click.echo(f"{counted(run.t, 'decision')} of {policies[0].name} in {file}", err=True)
    for change in run.changes:
        click.echo(in_words(change), err=True)
    if run.outside is not None and run.outside.count[0]:
        click.echo(f"warning: {said_of(run.outside, run.policy.name, env.name)}", err=True)


def _declared(run: Simulation) -> dict[str, Any]:
    """Return what the spec of a log says of rewards: their range, where a policy cannot know it."""
    limits = run.problem.reward_range
    return {} if limits in (None, (0.0, 1.0)) else {"reward": {"range": list(limits)}}


def _print_tasks(runs: list[Curves]) -> None:
    rows = []
    for run in runs:
        found = summary(run)
        name, loss = named(policy_catalog, run.policy), found["loss_mean"]
        rows.append([name, loss, found["loss_stderr"], _sparkline(run), rate(found["steps_per_second"])])
    first = runs[0]
    queries = counted(first.horizon, "query", "queries")
    title = f"{first.env['name']}, {queries}, {counted(len(first.reward), 'replication')}"
    note = f"loss of the recommendation after the last query, against: {first.regret_kind}"
    columns = ["policy", "loss", "+-", CURVE, SPEED]
    print_table(
        title,
        columns,
        sorted(rows, key=lambda row: row[1]),
        "\n".join([note, *_compared(runs)]),
        spare=(CURVE, SPEED),
    )


def _compared(runs: list[Curves]) -> list[str]:
    """Return in words how far each policy is behind the best."""
    more = {"regret": "more regret", "loss": "more loss", "reward": "less reward a trial"}
    said = []
    for each in differences(runs):
        behind = f"{each.mean:.4g} +- {each.stderr:.2g} {more[each.of]}"
        if each.p < TOLD_APART:
            said.append(f"{each.policy} has {behind} than {each.best} (p {each.p:.1g})")
        else:
            said.append(f"{each.policy} is not told apart from {each.best}: {behind} (p {each.p:.1g})")
    return said


def _print_runs(runs: list[Curves]) -> None:
    if runs[0].task:
        _print_tasks(runs)
        return
    certified = any(certificate_of(run) for run in runs)
    columns = ["policy", "reward", "regret", "+-", CURVE, *(["certificate", "V_T"] if certified else []), SPEED]
    rows: list[list[Any]] = []
    for run in runs:
        found = summary(run)
        figures = [found["reward_mean"], found["regret_mean"], found["regret_stderr"], _sparkline(run)]
        if certified:
            figures += [found.get("certificate_mean", math.nan), found.get("variation_mean", math.nan)]
        rows.append([named(policy_catalog, run.policy), *figures, rate(found["steps_per_second"])])
    rows.sort(key=lambda row: -row[1])
    first = runs[0]
    title = title_of(first)
    notes = [f"reward per trial; regret in total, against: {first.regret_kind}"] if first.regret_kind else []
    if certified:
        notes.append(
            "the certificate is a bound on the regret of the losses as they were drawn; V_T how far they varied"
        )
        notes += [f"that of {run.policy['name']} supposes {run.supposes}" for run in runs if run.supposes is not None]
    notes += _compared(runs)
    print_table(title, columns, rows, "\n".join(notes) or None, spare=(CURVE, SPEED))
    for run in runs:
        for line in _found(run):
            click.echo(line)


def _found(run: Curves) -> list[str]:
    """Return what a policy found of changes of the world: of one run each of them, of several how many."""
    if run.changes is None:
        return []
    name, counts = run.policy["name"], [len(each) for each in run.changes]
    if len(counts) == 1:
        return [f"{name}: {in_words(change)}" for change in run.changes[0]] or [f"{name}: no change"]
    return [f"{name}: {sum(counts) / len(counts):.3g} changes a run, from {min(counts)} to {max(counts)}"]


def _sparkline(run: Curves) -> str:
    if run.regret_kind is None:
        return ""
    mean = run.regret.mean(axis=0)[np.linspace(0, len(run.t) - 1, min(12, len(run.t))).astype(int)]
    top = max(float(mean.max()), 1e-12)
    return "".join("▁▂▃▄▅▆▇█"[min(7, max(0, int(7.999 * value / top)))] for value in mean)
