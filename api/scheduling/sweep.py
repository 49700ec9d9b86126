"""Simulations that are spread: policies, each with many replications, against one environment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ...engine.simulation import Curves, Replications, Simulation, check_replications, curves_of, replicate
from ...engine.vocabulary import Environment, Policy
from ...envs import catalog as envs
from ...policies import catalog as policies
from .scheduler import Scheduler, in_blocks


class Block(NamedTuple):
    """Some replications of a policy, as a worker is told of them."""

    policy: dict[str, Any]  # spec
    env: dict[str, Any]  # spec
    horizon: int
    seed: int
    first: int  # replication
    end: int  # the replication behind the last


def sweep(
    contenders: Sequence[Policy],
    env: Environment,
    *,
    horizon: int,
    replications: int,
    seed: int,
    scheduler: Scheduler,
    progress: Callable[[int], None] = lambda trials: None,
) -> list[Curves]:
    """Simulate policies as `simulate` does each of them, to the same bits; `progress` hears of blocks that are done."""
    check_replications(replications)
    firsts = [Simulation(policy, env, horizon=horizon, seed=seed) for policy in contenders]  # refuses what does not fit
    some = in_blocks(range(replications), scheduler.workers)
    blocks = [
        Block(policy.spec, env.spec, horizon, seed, which[0], which[-1] + 1) for policy in contenders for which in some
    ]

    def done(place: int) -> None:
        progress(horizon * (blocks[place].end - blocks[place].first))

    found = scheduler.map(run_block, blocks, done)
    each = [found[i * len(some) : (i + 1) * len(some)] for i in range(len(firsts))]
    return [curves_of(first, env, parts) for first, parts in zip(firsts, each, strict=True)]


def run_block(block: Block) -> Replications:
    """Run the replications of a block."""
    policy, env = policies.from_spec(block.policy), envs.from_spec(block.env)
    return replicate(policy, env, horizon=block.horizon, seed=block.seed, which=range(block.first, block.end))
