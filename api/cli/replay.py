"""`onearm replay`: many policies on one log, and which of them is best."""

from __future__ import annotations

from typing import Any

import click

from ...engine.errors import InvalidInput
from ..offline.candidates import checked, policy_named, with_sweeps
from ..offline.options import METHODS
from ..swept import swept
from .headed import ASKED, READING, SHOWN, HeadedCommand, under
from .json_option import as_json
from .offline_options import asking_options, method_option, naming_options, reading_options, showing_options
from .offline_run import run
from .options import (
    Whole,
    format_option,
    policy_file_option,
    policy_option,
    scheduler_option,
    seed_option,
    sweep_option,
)
from .rehearsing import rehearse_all, vectors_of

segments_option = click.option(
    "--segments", type=Whole(), help="Vectors: also show the regret against the best point of each of so many parts."
)


@click.command(cls=HeadedCommand)
@click.argument("log")
@under(READING, format_option)
@under(ASKED, policy_option, policy_file_option, sweep_option, segments_option)
@reading_options
@naming_options("dense")
@method_option(*METHODS)
@asking_options
@showing_options
@scheduler_option
@seed_option
@under(SHOWN, as_json)
def replay(
    log: str,
    form: str | None,
    policies: tuple[str, ...],
    sweeps: tuple[str, ...],
    segments: int | None,
    seed: int,
    as_json: bool,
    **asked: Any,
) -> int:
    """Let policies decide on the rows of LOG, learning from it, and rank them by what each would have earned.

    To ask what one policy or rule would have earned, and whether the log can tell, take `onearm evaluate`.

    LOG is a file that `onearm convert` knows (see docs/logs.md), packed (.gz, .zst) or not, a folder or a pattern of
    such files, also of a storage as s3://bucket/log, - for standard input, or the URL of a database. `match` is the
    mean reward where policy and log agree (for logs drawn uniformly), `snips` weights every row by the policy's
    probability over the logged one; with a model of the reward there are more. All policies go through the log in one
    read, in threads. Of vectors with all losses nothing is estimated: what each policy would have lost is computed,
    with its regret and its certificate.

    \b
    Example:
      onearm simulate --env bernoulli --policy uniform --horizon 10000 --log out.jsonl
      onearm replay out.jsonl --policy ucb1 --policy thompson_beta --sweep exp3_ix.gamma=0.01:1:log
    """
    given = [policy_named(policy) for policy in policies]
    if (vectors := vectors_of(log, form)) is not None:
        if (asked["since"], asked["until"]) != (None, None):
            raise InvalidInput(
                "no_period", f"{log} is a log of vectors, which is read whole: leave out --since, --until"
            )
        if asked["scheduler"] is not None:
            raise InvalidInput(
                "not_spread", f"{log} is a log of vectors, through which policies go here: leave out --scheduler"
            )
        if sweeps:
            given += [each for text in sweeps for each in swept(text, given)]
        rehearse_all(log, vectors, given, seed=seed, segments=1 if segments is None else segments, as_json=as_json)
        return 0
    if segments is not None:
        raise InvalidInput("no_segments", f"{log} is no log of vectors: --segments is for regret against points")
    return run(log, form, checked(with_sweeps(given, sweeps)), ("match", "snips"), seed=seed, as_json=as_json, **asked)
