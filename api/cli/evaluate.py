"""`onearm evaluate`: what policies would have earned, and how sure that is."""

from __future__ import annotations

from typing import Any

import click

from ..offline.options import LIST_METHODS, METHODS
from .headed import ASKED, READING, SHOWN, HeadedCommand, under
from .json_option import as_json
from .offline_options import asking_options, method_option, naming_options, reading_options, showing_options
from .options import format_option, policy_file_option, scheduler_option, seed_option

target_option = click.option(
    "--target",
    "targets",
    multiple=True,
    required=True,
    metavar="WHAT",
    help="What to judge: uniform or any policy as NAME[:JSON], logged (what made the log), first, or action:LABEL; of "
    "your own column:P_NEW (the probability of the logged action), 'columns:P_*' (of every action), table:FILE (by a "
    "key), frequency:POSITION (shares in this log), or a function of --policy-file; may be given several times.",
)


@click.command(cls=HeadedCommand)
@click.argument("log")
@under(READING, format_option)
@under(ASKED, target_option, policy_file_option)
@reading_options
@naming_options("dense")
@method_option(*METHODS, *LIST_METHODS)
@asking_options
@showing_options
@scheduler_option
@seed_option
@under(SHOWN, as_json)
def evaluate(log: str, form: str | None, targets: tuple[str, ...], as_json: bool, **asked: Any) -> int:
    """Estimate what each --target would have earned on LOG, with intervals and warnings.

    The exit code is 1 where the propensities of LOG cannot be true.

    To find out which policy, with which params, learns best on data like these, take `onearm replay`.

    LOG is a file that `onearm convert` knows (see docs/logs.md), packed (.gz, .zst) or not, a folder or a pattern of
    such files, also of a storage as s3://bucket/log, - for standard input, or the URL of a database. Logs of lists,
    with several slots, have methods of their own (slate-ips, independent, cascade, pseudo-inverse) and the targets
    uniform, logged and first.

    \b
    Example:
      onearm evaluate men.csv --format obd --target uniform --method snips --method dr \\
        --interval normal --interval confidence-sequence
    """
    from ..offline.candidates import candidate, checked
    from .offline_lists import run_lists
    from .offline_run import run

    if set(asked["methods"]) & set(LIST_METHODS):
        run_lists(log, form, targets, as_json=as_json, **asked)
        return 0
    return run(log, form, checked([candidate(text) for text in targets]), ("snips",), as_json=as_json, **asked)
