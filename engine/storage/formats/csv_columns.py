"""What the columns of a CSV log are: by their names, the arms by their labels, and contexts by the users."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from ...errors import InvalidInput
from ...features import unit_of
from ...problem import ARMS_MAX
from ...vocabulary import Array
from ..bad_lines import BadLines
from ..log import reading
from ..numerals import number_in
from ..rows import Naming
from ..source import Source
from .cells import Marked, Table, coded, floats, raw, wholes
from .plain_columns import FEATURE, UNIT

NUMBERED = ("action", "arm")
ACTIONS = (*NUMBERED, "action_id", "arm_id", "item_id", "decision", "decisions", "variant", "treatment")
REWARDS = ("reward", "rewards", "response", "click", "clicked", "outcome")
COSTS = ("cost", "loss")
PROPENSITIES = (
    "propensity",
    "propensity_score",
    "probability",
    "action_probability",
    "action_prob",
    "prob",
    "pscore",
)
TIMES = ("time", "timestamp", "decided_at", "predicted_at")
FIRST = 1 << 17  # cells that tell whether a column is one of numbers
USERS = ("features_user.csv", "user_features.csv")


class Roles(NamedTuple):
    """What the columns of a table are, each None where there is none."""

    action: str
    reward: str
    sign: float  # -1 where `reward` is a cost
    propensity: str | None
    time: str | None
    decision_id: str | None
    unit_id: str | None
    user: str | None
    features: list[str]


def roles_of(names: list[str], naming: Naming, path: object) -> Roles | None:
    """Return what columns of these names are, None where there is no action or no reward.

    What a person says of them holds; columns that are not there are refused.

    >>> roles_of(["user_id", "item_id", "response"], Naming(), "log.csv")[:4]
    ('item_id', 'response', 1.0, None)
    """

    def first(usual: Sequence[str]) -> str | None:
        found = {name.strip().lower(): name for name in reversed(names)}
        return next((found[name] for name in usual if name in found), None)

    for name in naming.named:
        if name not in names:
            raise InvalidInput("bad_column", f"{path} has no column {name!r}: it has {', '.join(names)[:300]}")
    action, reward, cost = naming.action or first(ACTIONS), naming.reward or first(REWARDS), first(COSTS)
    if action is None or (reward is None and cost is None):
        return None
    return Roles(
        action,
        reward or cost or "",
        -1.0 if reward is None or naming.is_cost else 1.0,
        naming.propensity or first(PROPENSITIES),
        naming.time or first(TIMES),
        first(["decision_id"]),
        naming.unit or first([UNIT]),
        first(["user_id"]),
        [name for name in dict.fromkeys(names) if FEATURE.fullmatch(name.strip())],
    )


def others_of(names: list[str], roles: Roles, naming: Naming) -> list[str]:
    """Return the columns that are nothing of the decision itself, no ids, and not ignored.

    >>> names = ["user_id", "item_id", "clicked", "country", "price"]
    >>> others_of(names, roles_of(names, Naming(), "log.csv"), Naming(ignored=("price",)))
    ['country']
    """
    taken = {*roles[:2], *roles[3:8], *naming.ignored}
    return [name for name in dict.fromkeys(names) if name and name not in taken]


def units_in(texts: pa.Array) -> Array:
    """Return by what the units of ids are known, uint64[n]; an empty cell is nobody."""
    ids, place = coded(texts)
    return np.array([unit_of(None if not one else one.decode("utf-8", "replace")) for one in ids], np.uint64)[place]


class Arms:
    """The arms of the actions of a table: numbers as they stand, or labels."""

    def __init__(self, column: str, numbered: bool, n_arms: int | None) -> None:
        self._code: dict[bytes, int] | None = None if numbered else {}  # of labels, as they are met
        self._column, self._n_arms, self._largest = column, n_arms, -1
        self.smallest = 0 if not numbered else ARMS_MAX  # of the numbers of arms that stand there

    def actions(self, texts: pa.Array, marked: Marked) -> Array:
        """Return int64[n] of numbers, or of the codes of labels, and take lines without one out of those kept."""
        kept = marked.kept
        if self._code is None:
            action = wholes(texts)
            limit = self._n_arms or ARMS_MAX
            if len(action) and not (action.min() >= 0 and action.max() < limit):
                most = "" if self._n_arms is None else f" to {limit - 1}"
                rule = f"{self._column!r} is {{}}: it must be the number of an arm, from 0{most}"
                marked.drop("bad_action", (action < 0) | (action >= limit), texts, rule)
            self.smallest = min(self.smallest, int((action if kept.all() else action[kept]).min(initial=ARMS_MAX)))
        else:
            names, place = coded(texts)
            names = [name.strip() for name in names]
            empty = np.array([not name for name in names], np.bool_)[place]
            marked.drop("bad_action", empty, texts, f"{self._column!r} is {{}}: it must name what was chosen")
            there = np.bincount(place[kept], minlength=len(names))
            codes = [
                self._code.setdefault(name, len(self._code)) if n else -1 for name, n in zip(names, there, strict=True)
            ]
            action = np.array(codes, np.int64)[place]
            if len(self._code) > ARMS_MAX:
                raise InvalidInput("bad_arms", f"more than {ARMS_MAX} labels of arms: is it the right column?")
        self._largest = max(self._largest, int((action if kept.all() else action[kept]).max(initial=-1)))
        return action

    def finished(self) -> tuple[int, list[str], Array | None]:
        """Return how many arms there are, their labels, and int64[k], the arm of each code, None for numbers."""
        if self._code is None:
            return self._n_arms or self._largest + 1, [], None
        names = sorted(self._code, key=_order(self._code))
        arm = np.empty(len(names), np.int64)
        arm[[self._code[name] for name in names]] = np.arange(len(names))
        return max(len(names), self._n_arms or 0), [name.decode("utf-8", "replace") for name in names], arm


class Users:
    """The features of users, from the file beside a log, float64[users, d]; a user is the place of a row."""

    def __init__(self, path: Path, user: str) -> None:
        bad_lines = BadLines()
        self.name = path.name
        with reading(path, "a CSV file of the features of users", pa.ArrowException):
            table = Table(Source(path), bad_lines)
            if user not in table.names:
                raise InvalidInput("wrong_format", f"{path} has no column {user!r}: name the users as the log does")
            names = [name for name in dict.fromkeys(table.names) if name not in (user, "")]
            if not names:
                raise InvalidInput("wrong_format", f"{path} names users and no features of theirs: add some")
            self._place: dict[bytes, int] = {}
            parts = [np.zeros((0, len(names)))]
            for cells, _ in table.blocks([user, *names]):
                before = sum(map(len, parts))
                self._place |= {name: before + row for row, name in enumerate(raw(cells[0]))}
                parts.append(np.stack([floats(texts) for texts in cells[1:]], 1))
        self.features = np.concatenate(parts)
        self._good = np.asarray(np.isfinite(self.features).all(axis=1))

    def places(self, texts: pa.Array) -> Array:
        """Return int64[n], -1 for a user without features."""
        names, place = coded(texts)
        rows = [self._place.get(name, -1) for name in names]
        return np.array([row if row >= 0 and self._good[row] else -1 for row in rows], np.int64)[place]


def are_numbers(name: str, texts: pa.Array) -> bool:
    """Whether the cells of a column are the numbers of arms: it is called so, and most of the first ones can be."""
    return name.strip().lower() in NUMBERED and float(np.mean(wholes(texts[:FIRST]) >= 0)) > 0.5


def users_of(path: Path, roles: Roles) -> Users | None:
    """Return the features of users from the file beside a log, where there is one."""
    if roles.user is None or not path.is_file():  # standard input, or a table in memory
        return None
    files = [path.with_name(name) for name in USERS]
    found = next((file for file in files if file.is_file() and file != path), None)
    return None if found is None else Users(found, roles.user)


def _order(labels: Iterable[bytes]) -> Any:
    """Return by what labels are sorted: their number, where all of them are one, else their text."""
    numbers = {label: number_in(label.decode("latin-1")) for label in labels}
    if all(map(math.isfinite, numbers.values())):
        return lambda label: (numbers[label], label)
    return lambda label: label
