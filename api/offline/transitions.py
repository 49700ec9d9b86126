"""Tables of decisions that moved a state: in which one, what was done, what it paid, and which state came next.

Read are exports of experiments and environments with states, and plain tables in JSON lines, CSV or Parquet with a
column for each of these; so are columns that say whether a unit ended or began there. States and actions are ids or
whole numbers, as they come; a next state that is missing says that the unit ended. A line that lacks anything else, or
whose reward is no number up to 1e100, is left out, and said to be.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.json as pa_json
import pyarrow.parquet as pq

from ...engine.choices import CELLS_MAX, REWARD_MAX
from ...engine.columns import take
from ...engine.errors import InvalidInput, counted
from ...engine.storage.header import problem_in
from ...engine.storage.log import reading
from ...engine.vocabulary import LEARN, Array
from ..experiment.states import States
from ..log_files import form_of, read_log, source_of

# Names of columns, of which the first that is there is taken.
NAMES = {
    "state": ("state", "s", "observation", "obs"),
    "action": ("action", "a", "action_id"),
    "reward": ("reward", "r"),
    "next_state": ("next_state", "s_next", "next_s", "s2", "next_observation", "next_obs"),
    "ended": ("ended", "terminated", "terminal", "done"),
    "begins": ("begins", "begin", "first"),
}
NEEDED = ("state", "action", "reward", "next_state")
FORMS = ("jsonl", "csv", "parquet")
Label = Any  # of a state: a number, a text, or an object of factors


class Transitions(NamedTuple):
    """n decisions, by the numbers of what was met and done."""

    states: Sequence[Label]  # what each of S states is called
    actions: Sequence[Label]  # what each of A actions is called
    state: Array  # int64[n]
    action: Array  # int64[n]
    reward: Array  # float64[n]
    following: Array  # int64[n], S where the unit ended
    begins: Array  # bool[n]
    notes: list[str]  # what was taken, and what was left out


def read_transitions(path: Path, form: str | None = None, columns: Mapping[str, str] | None = None) -> Transitions:
    """Read a log; `columns` name the columns of a plain table that are called otherwise (see NAMES)."""
    name = form_of(path, form)
    if name not in FORMS:
        raise InvalidInput("wrong_format", f"{path} is {name}: transitions are read from {', '.join(FORMS)}")
    if name != "csv" and problem_in(source_of(path), name) is not None:
        return _of_export(path, name)
    return _of_table(_table(path, name), path, columns or {})


def _of_export(path: Path, form: str) -> Transitions:
    log = read_log(path, form)
    if log.problem.states is None:
        raise InvalidInput(
            "no_states", f"{path} is a log of decisions that move no state: use onearm evaluate or onearm replay"
        )
    rows = log.table
    spec = log.spec or {}
    said = spec.get("problem", {}).get("states") if isinstance(spec.get("problem"), dict) else None
    states = States(log.problem.states) if said is None else States.from_json(said)
    arms = [arm["id"] for arm in spec.get("arms", [])] or list(range(log.problem.n_arms))
    left = 0 if log.events is None else int((log.events.kind != LEARN).sum()) - len(rows.kind)
    notes = [f"left out: {counted(left, 'decision')} without a reward"] if left else []
    known = ~np.isnan(rows.detail[:, 0])
    if not known.all():
        notes.append(
            f"left out: {counted(int((~known).sum()), 'decision')} closed by default, as what came next is unknown"
        )
    rows = take(rows, np.flatnonzero(known))
    return Transitions(
        [states.label(s) for s in range(states.count)],
        arms,
        rows.context[:, 0].astype(np.int64),
        rows.action,
        rows.reward,
        rows.detail[:, 0].astype(np.int64),
        rows.context[:, 1] == 1.0,
        notes,
    )


def _table(path: Path, form: str) -> pa.Table:
    with reading(path, f"a table ({form})", pa.ArrowException):
        if form == "parquet":
            return pq.read_table(path)
        return _csv(path) if form == "csv" else pa_json.read_json(path)


def _csv(path: Path) -> pa.Table:
    """Read a CSV file, in which a field without anything says that something is missing."""
    return pa_csv.read_csv(path, convert_options=pa_csv.ConvertOptions(strings_can_be_null=True))


def _of_table(table: pa.Table, path: Path, columns: Mapping[str, str]) -> Transitions:
    taken = {}
    for what, known in NAMES.items():
        if what in columns and columns[what] not in table.column_names:
            raise InvalidInput(
                "missing_column", f"{path} has no column {columns[what]!r}: it has {', '.join(table.column_names)}"
            )
        found = [columns[what]] if what in columns else [name for name in known if name in table.column_names]
        if found:
            taken[what] = found[0]
    if missing := [what for what in NEEDED if what not in taken]:
        raise InvalidInput(
            "missing_column",
            f"{path} has no column for {' and '.join(missing)}: it has {', '.join(table.column_names)}; name it by "
            f"--{missing[0].replace('_', '-')}",
        )
    _check_labels(table, taken)
    ended = _flags(table, taken.get("ended"))
    following = table[taken["next_state"]]
    ended |= following.is_null().to_numpy(zero_copy_only=False) if "ended" not in taken else False
    reward = _rewards(table[taken["reward"]], path)
    lacks = [table[taken[what]].is_null().to_numpy(zero_copy_only=False) for what in ("state", "action")]
    lost = following.is_null().to_numpy(zero_copy_only=False) & ~ended
    good = ~(lacks[0] | lacks[1] | lost | ~(np.abs(reward) <= REWARD_MAX))
    if not good.any():
        raise InvalidInput("wrong_format", f"{path} holds not one good line")
    state, labels = _numbered([table[taken["state"]].filter(pa.array(good)), following.filter(pa.array(good & ~ended))])
    (action,), arms = _numbered([table[taken["action"]].filter(pa.array(good))])
    _check_size(len(labels), len(arms))
    after = np.full(int(good.sum()), len(labels))
    after[~ended[good]] = state[1]
    others = [name for name in table.column_names if name not in taken.values()]
    notes = [f"taken: {', '.join(f'{what} from {name}' for what, name in taken.items() if what != name) or 'as named'}"]
    notes += [f"left alone: {', '.join(others)}"] if others else []
    if not good.all():
        lines = counted(int((~good).sum()), "line")
        notes.append(f"left out: {lines} without a state, an action, a reward or a next state")
    return Transitions(
        labels, arms, state[0], action, reward[good], after, _flags(table, taken.get("begins"))[good], notes
    )


def _check_labels(table: pa.Table, taken: Mapping[str, str]) -> None:
    """Refuse columns of states and actions that hold lists or objects."""
    for what in ("state", "action", "next_state"):
        kind = table[taken[what]].type
        if pa.types.is_nested(kind):
            raise InvalidInput(
                "bad_column",
                f"the column {taken[what]!r} ({what}) holds {kind}: states and actions are texts or numbers; "
                "write each as one text",
            )


def _check_size(states: int, n_arms: int) -> None:
    """Refuse more transitions than are counted, as those of an experiment are."""
    if (cells := states * states * n_arms) > CELLS_MAX:
        raise InvalidInput(
            "bad_states",
            f"the log has {states} states and {n_arms} actions, which makes {cells} transitions to count, states x "
            f"states x actions: there may be {CELLS_MAX}; make the states coarser",
        )


def _flags(table: pa.Table, name: str | None) -> Array:
    """Return a column of yes and no, bool[n]; no where there is none."""
    if name is None:
        return np.zeros(len(table), np.bool_)
    try:
        flags = pc.fill_null(table[name].cast(pa.int8()).cast(pa.bool_()), False)
    except pa.ArrowException:
        raise InvalidInput("bad_column", f"the column {name!r} must hold true and false, or 1 and 0") from None
    return np.asarray(flags.to_numpy(zero_copy_only=False), np.bool_)


def _rewards(column: pa.ChunkedArray, path: Path) -> Array:
    try:
        return np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False), np.float64)
    except pa.ArrowException:
        raise InvalidInput("bad_column", f"the rewards of {path} are not numbers") from None


def _numbered(columns: list[pa.ChunkedArray]) -> tuple[list[Array], list[Label]]:
    """Return what columns hold as numbers of the sorted labels, which may be numbers or texts."""
    kinds = {column.type for column in columns if len(column)}
    if len(kinds) > 1:
        columns = [column.cast(pa.string()) for column in columns]
    known = pa.chunked_array([chunk for column in columns for chunk in column.chunks], type=columns[0].type)
    labels = pc.sort_indices(unique := known.unique())
    labels = unique.take(labels)
    found = [pc.index_in(column, labels).to_numpy(zero_copy_only=False).astype(np.int64) for column in columns]
    return found, labels.to_pylist()
