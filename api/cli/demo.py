"""`onearm demo`: a world streamed through a running service, with a live picture in the terminal."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click
import httpx
import numpy as np
from rich.console import Group
from rich.live import Live
from rich.text import Text

from ...engine.errors import InvalidInput, counted
from ...envs import catalog as env_catalog
from ...policies import catalog as policy_catalog
from ..console import print_json, progress
from ..experiment.ids import in_url
from ..gym.envs import Copies
from ..kinds.arms.kind import ARMS
from ..kinds.arms.problem import CONTEXT_POLICY, DEFAULT_POLICY
from ..kinds.table import kind_of
from ..terminal import console
from .calling import answered, client_of, key_option, url_option
from .json_option import as_json
from .options import Whole
from .reward_curve import curve, means_of

ENV = 'linear:{"arms": 5, "dimension": 4, "reward": "bernoulli"}'  # no data set, so nothing to install
STEPS = 2000
SHARES_SHOWN = 12


@click.command()
@url_option
@key_option("admin")
@click.option("--env", default=ENV, show_default=True, metavar="NAME[:JSON]", help="The world that answers.")
@click.option(
    "--policy",
    metavar="NAME[:JSON]",
    help="The policy that decides; default: the one for experiments that name none.",
)
@click.option("--steps", type=Whole(1), help=f"Decisions to make; default: one pass, or {STEPS}.")
@click.option("--experiment", help="The id of the experiment; default: a new one.")
@click.option("--seed", type=Whole(), default=0, show_default=True, help="The seed of the world and of the policy.")
@as_json
def demo(
    url: str,
    key: str | None,
    env: str,
    policy: str | None,
    steps: int | None,
    experiment: str | None,
    seed: int,
    as_json: bool,
) -> None:
    """Send a world's decisions to a running service (`make run` in another terminal) and watch it learn.

    Each step is one decision and one reward over HTTP. The default world has five arms and four numbers a decision,
    which say how likely each arm is to pay 1. Any other environment will do; data sets need the extra `examples`.

    \b
    Examples:
      onearm demo --env 'bernoulli:{"mean":[0.2,0.5,0.8]}' --policy ucb1 --steps 1000
      onearm demo --env 'classification:{"dataset":"digits"}'
    """
    world = env_catalog.parse(env)
    if (kind := kind_of(world.problem)) is not ARMS:
        raise InvalidInput(
            "bad_env",
            f"{world.name} {kind.does}, and the demo has arms that are all there: name another one, or play with "
            "onearm simulate",
        )
    copies = Copies(world, 1, steps or world.problem.horizon or STEPS)
    copies.restart([0], [seed])
    copies.observe()
    total = copies.problem.horizon or STEPS
    default = DEFAULT_POLICY if copies.problem.context_shape == (0,) else CONTEXT_POLICY
    chosen = policy_catalog.parse(policy) if policy else policy_catalog.from_spec(default)
    with client_of(url, key) as client:
        name = _create(client, copies, chosen.spec, experiment, seed)
        story = _Story(name, policy or policy_catalog.label(default), env, total)
        quiet = as_json or not sys.stdout.isatty()
        with _shown(story, quiet) as advance:
            _stream(client, copies, name, story, advance)
    if as_json:
        print_json(story.summary())
    elif quiet:
        click.echo(story.line())


class _Story:
    """What has happened so far, and its picture."""

    def __init__(self, experiment: str, policy: str, env: str, total: int) -> None:
        self.title = f"{experiment}: {policy} on {env}"
        self.experiment = experiment
        self.total = total
        self.rewards: list[float] = []
        self.actions: Counter[str] = Counter()
        self.started = time.perf_counter()

    def add(self, action: str, reward: float) -> None:
        self.actions[action] += 1
        self.rewards.append(reward)

    @property
    def rate(self) -> float:
        return len(self.rewards) / max(time.perf_counter() - self.started, 1e-9)

    def summary(self) -> dict[str, Any]:
        n = len(self.rewards)
        half = self.rewards[n // 2 :]
        return {
            "experiment": self.experiment,
            "decisions": n,
            "reward_mean": float(np.mean(self.rewards)),
            "reward_mean_second_half": float(np.mean(half)),
            "shares": {action: count / n for action, count in self.actions.most_common()},
            "decisions_per_second": self.rate,
        }

    def line(self) -> str:
        found = self.summary()
        return (
            f"{counted(found['decisions'], 'decision')} of {self.title}: mean reward {found['reward_mean']:.4f}, "
            f"{found['reward_mean_second_half']:.4f} in the second half"
        )

    def picture(self) -> Group:
        n = max(len(self.rewards), 1)
        mean = sum(self.rewards) / n
        left = f"{(self.total - n) / self.rate:,.0f} s left" if self.rewards else "waiting"
        head = Text.assemble(
            (self.title, "bold"),
            f"\n{len(self.rewards):,} of {self.total:,} decisions   {self.rate:,.0f}/s   {left}   ",
            (f"mean reward {mean:.3f}", "bold green"),
        )
        drawn = Text(curve(means_of(self.rewards)), style="cyan")
        return Group(head, Text("\nreward against time (each column a mean)"), drawn, self._shares())

    def _shares(self) -> Text:
        n = max(len(self.rewards), 1)
        lines = ["\nshare of each action"]
        for action, count in sorted(self.actions.items(), key=lambda item: -item[1])[:SHARES_SHOWN]:
            lines.append(f"{action[:12]:>12} {'█' * round(40 * count / n):<40} {count / n:6.1%}")
        return Text("\n".join(lines))


def _create(client: httpx.Client, copies: Copies, policy: dict[str, Any], experiment: str | None, seed: int) -> str:
    problem = copies.problem
    body: dict[str, Any] = {
        "experiment_id": experiment or f"demo-{time.time_ns() // 1_000_000:x}",
        "policy": policy,
        "seed": seed,
    }
    if problem.layout == "actions":
        body["problem"] = {"actions": {"kind": "listed", "length": problem.context_shape[1], "max": problem.n_arms}}
    else:
        body["arms"] = [{"id": str(arm)} for arm in range(problem.n_arms)]
        if problem.context_shape != (0,):
            body["problem"] = {"context": {"kind": "dense", "length": problem.context_shape[0]}}
    answer = _answer(client.post, "/v1/experiments", body)
    return str(answer["experiment_id"])


@contextmanager
def _shown(story: _Story, quiet: bool) -> Iterator[Callable[[int], None]]:
    """Show the picture, or where it would go into a pipe a bar beside that; yield what takes steps done."""
    if quiet:
        with progress("demo", story.total, "decisions") as advance:
            yield advance
    else:
        with Live(console=console, refresh_per_second=8, get_renderable=story.picture):
            yield lambda steps: None


def _stream(client: httpx.Client, copies: Copies, name: str, story: _Story, advance: Callable[[int], None]) -> None:
    path = f"/v1/experiments/{in_url(name)}/decisions"
    while not copies.over[0]:
        decision = _answer(client.post, path, _question(copies))
        copies.step(np.array([int(decision["action_id"])]), np.ones(1, np.bool_))
        reward = float(copies.rewards[0])
        _answer(client.post, f"{path}/{decision['decision_id']}/reward", {"value": reward})
        story.add(decision["action_id"], reward)
        advance(1)


def _question(copies: Copies) -> dict[str, Any]:
    """Return the body that asks for the decision on what the world shows now."""
    context, available = copies.contexts[0], copies.available[0]
    there = np.flatnonzero(available)
    if copies.problem.layout == "actions":
        return {"actions": [{"id": str(a), "features": context[a].tolist()} for a in there]}
    body: dict[str, Any] = {"context": context.tolist()} if context.size else {}
    if not available.all():
        body["eligible_actions"] = [str(arm) for arm in there]
    return body


def _answer(call: Any, path: str, body: dict[str, Any]) -> dict[str, Any]:
    return answered(path, lambda: call(path, json=body))
