"""What `evaluate` and `replay` have in common: how a log is read, what is asked of it, where it is shown."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from ...engine.storage.numerals import number_in
from ..offline.options import INTERVALS, LEVELS, MODELS, OWN
from .headed import ASKED, COLUMNS, READING, SHOWN, under
from .moment import MOMENT
from .options import Finite, Whole

if TYPE_CHECKING:
    from ...engine.replay.matching import Learning

Command = TypeVar("Command", bound=Callable[..., Any])


class LearningType(click.ParamType["Learning"]):
    """What candidates learn: one of the words, or a share of the rows."""

    name = "learning"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Learning:
        """Return the word or the number."""
        from ...engine.replay.matching import LEARNING

        if value in LEARNING:
            return value
        share = number_in(str(value))
        if not 0.0 < share < 1.0:
            self.fail(f"{value!r} is none of {', '.join(LEARNING)}, and no share between 0 and 1", param, ctx)
        return share


class ModelType(click.ParamType[str]):
    """One of the models, or the columns of a model's predictions."""

    name = "model"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return it."""
        if value not in MODELS and not str(value).startswith(OWN):
            self.fail(f"{value!r} is none of {', '.join(MODELS)}, and no columns:q_*", param, ctx)
        return str(value)


class RangeType(click.ParamType[tuple[float, float]]):
    """Two numbers, LOW:HIGH."""

    name = "range"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, float]:
        """Return the two."""
        ends = [number_in(end) for end in str(value).split(":")]
        if len(ends) != 2 or any(map(math.isnan, ends)):
            self.fail(f"{value!r} is no range: say LOW:HIGH, as 0:1", param, ctx)
        low, high = ends
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            self.fail(f"{value!r} is no range: it must ascend", param, ctx)
        return low, high


def _dimension(ctx: click.Context, parameter: click.Parameter, value: int | None) -> int | None:
    from ...engine.features import DIMENSION_MAX

    return None if value is None else Whole(1, DIMENSION_MAX).convert(value, parameter, ctx)


def _bits(ctx: click.Context, parameter: click.Parameter, value: int | None) -> int | None:
    from ...engine.features import BITS_MAX

    return None if value is None else Whole(1, BITS_MAX).convert(value, parameter, ctx)


_PERIOD = (
    click.option(
        "--since",
        type=MOMENT,
        metavar="TIME",
        help="Only decisions from this time on, as 2026-01-31 or 2026-01-31T12:00:00Z; without a zone it is UTC. Of "
        "tables it is the time in a column (--time).",
    ),
    click.option("--until", type=MOMENT, metavar="TIME", help="Only decisions from before this time."),
)
_READING = (
    click.option("--experiment", help="If LOG is a database: the experiment whose log is read."),
    *_PERIOD,
    click.option("--arms", type=Whole(1), help="How many arms there are, if the log does not say."),
    click.option(
        "--dimension",
        type=Whole(),
        callback=_dimension,
        help="dsjson, vw: hash features to this many columns; default: 256, for policies that read no named features.",
    ),
    click.option("--strict", is_flag=True, help="Stop at bad lines, which are otherwise counted and left out."),
)
_DECISION = (
    click.option(
        "--features",
        metavar="A,B,C",
        help="Tables: the columns that are the context: numbers, labels or times. By default those called x0, x1, ...",
    ),
    click.option("--action", metavar="COLUMN", help="Tables: what was chosen, where the column's name does not tell."),
    click.option("--reward", metavar="COLUMN", help="Tables: what came of it."),
    click.option(
        "--reward-is",
        type=click.Choice(("reward", "cost")),
        default="reward",
        help="Tables: a cost is minus a reward.",
    ),
    click.option("--propensity", metavar="COLUMN", help="Tables: how likely that was, in (0, 1]."),
)
_CONTEXT = (
    click.option(
        "--ignore",
        "ignored",
        multiple=True,
        metavar="COLUMN",
        help="Tables: a column that is not of the context, such as what is known only afterwards; may be repeated.",
    ),
    click.option(
        "--interactions",
        multiple=True,
        metavar="A,B[,C]",
        help="Named features: namespaces whose features are multiplied; the column user.age is of the namespace user, "
        "and a column without a point of the namespace without a name. May be repeated. Default: each feature of the "
        "context with each of the action.",
    ),
    click.option(
        "--bits", type=Whole(), callback=_bits, help="Named features: hash them to 2^BITS slots; default: 18."
    ),
)
_WHOSE = (
    click.option("--time", metavar="COLUMN", help="Tables: when it was decided."),
    click.option("--unit", metavar="COLUMN", help="Tables: whom it was decided for; intervals count units."),
)
_ASKING = (
    click.option(
        "--interval",
        "intervals",
        multiple=True,
        type=click.Choice(INTERVALS),
        help="The intervals; may be given several times. confidence-sequence holds at every look; default: normal.",
    ),
    click.option(
        "--level",
        type=Finite(*LEVELS),
        default=0.95,
        show_default=True,
        help="The confidence of intervals.",
    ),
    click.option(
        "--learn",
        type=LearningType(),
        default="matched",
        show_default=True,
        metavar="WHAT",
        help="What policies learn from the log: matched, the rows on which they agree; logged, every row; nothing; or "
        "a share such as 0.5: they learn from that part of the log and are judged, frozen, on the rest.",
    ),
    click.option(
        "--model",
        type=ModelType(),
        default="ridge",
        show_default=True,
        metavar="MODEL",
        help="What predicts rewards: ridge, mean, or columns:q_*, your own predictions, a column for each action.",
    ),
    click.option(
        "--reward-range",
        type=RangeType(),
        metavar="LOW:HIGH",
        help="The least and the greatest reward allowed; policies that are made for a range use it.",
    ),
    click.option(
        "--weight-limit",
        type=Finite(0.0, min_open=True),
        help="clipped, switch-dr: the weight above which they cut; default: chosen from the log.",
    ),
    click.option(
        "--weight-max",
        type=Finite(0.0, min_open=True),
        help="The largest ratio of a target's probability of an action to the log's, if you know one beforehand. It "
        "makes confidence sequences shorter, and empirical-bernstein needs it.",
    ),
    click.option(
        "--law",
        metavar="P_*",
        help="The columns of the probabilities by which the log drew, one for each action, of dsjson p: with them "
        "propensities are tested exactly.",
    ),
    click.option(
        "--diagnostics/--no-diagnostics",
        default=True,
        help="Whether to ask how far the log can be trusted, which takes most of the time; on by default.",
    ),
    click.option("--embedding", metavar="COLUMN|FILE", help="mips: the category of each arm."),
    click.option(
        "--baseline",
        metavar="WHAT",
        help="Show how much more the others are worth than this one: logged, or anything that can be a target.",
    ),
    click.option("--segment", metavar="COLUMN", help="Also show values for each value of this column, key or feature."),
)
_SHOWING = (
    click.option("--report", type=click.Path(path_type=Path), help="Write a page with everything to this .html file."),
    click.option(
        "--plots", type=click.Path(path_type=Path), help="Write the page's plots to this folder, PNG and SVG."
    ),
)


def naming_options(usual: str) -> Callable[[Command], Command]:
    """Return what takes what the columns of a table are called, as `naming`; contexts are dense or named as `usual`."""
    context = click.option(
        "--context",
        type=click.Choice(("dense", "named")),
        default=usual,
        show_default=True,
        help="Tables: a context is a list of numbers (of the columns of --features, or x0, x1, ...), or named features "
        'as a service takes them, {"age": 31} (of the columns of --features, or all that are nothing else).',
    )

    def decorate(command: Command) -> Command:
        return under(COLUMNS, *_DECISION, *_WHOSE, context, *_CONTEXT)(_named(command))

    return decorate


def _named(command: Command) -> Command:
    """Return a command that is handed what these options say as `naming`."""

    @functools.wraps(command)
    def named(
        *args: Any,
        features: str | None,
        action: str | None,
        reward: str | None,
        reward_is: str,
        propensity: str | None,
        time: str | None,
        unit: str | None,
        context: str,
        ignored: tuple[str, ...],
        interactions: tuple[str, ...],
        bits: int | None,
        **asked: Any,
    ) -> Any:
        from ..offline.naming import naming_of

        return command(
            *args,
            naming=naming_of(
                (features or "").split(","),
                action,
                reward,
                reward_is,
                propensity,
                time,
                unit,
                context=context,
                ignore=ignored,
                interactions=[text.split(",") for text in interactions] or None,
                bits=bits,
            ),
            **asked,
        )

    return cast(Command, named)


def method_option(*names: str) -> Callable[[Any], Any]:
    """Return the option that chooses among methods."""
    method = click.option(
        "--method",
        "methods",
        multiple=True,
        type=click.Choice(names),
        help="How values are estimated; may be given several times. With a model: dm, dr, sndr, switch-dr, dros, mrdr.",
    )
    return under(ASKED, method)


reading_options: Callable[[Any], Any] = under(READING, *_READING)
period_options: Callable[[Any], Any] = under(READING, *_PERIOD)
asking_options: Callable[[Any], Any] = under(ASKED, *_ASKING)
showing_options: Callable[[Any], Any] = under(SHOWN, *_SHOWING)
