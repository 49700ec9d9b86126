"""The columns of an export: their types, units and meanings."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa

from ....actions import empty_actions
from ....columns import SCHEMA
from ....vocabulary import Problem
from ...joined_form import Extent, joined_header
from ...log import header_of

FEATURES = pa.struct({"start": pa.list_(pa.int32()), "index": pa.list_(pa.uint32()), "value": pa.list_(pa.float64())})
TEXTS = ("detail", "sent", "decision_id", "reward_id", "actions", "unit_id")
OURS = (*TEXTS, "time", "policy")  # columns as they are in the database
LEARNED = {  # column of the joined form: (of the event that was learned, type, unit, meaning)
    "learn_seq": ("seq", pa.int64(), "events", "position in the log of what was learned; null where nothing was"),
    "learn_reward": ("reward", pa.float64(), "reward", "what was learned; null where it is `reward`"),
    "learn_detail": ("detail", pa.string(), "text", "as in the database"),
    "learn_reward_id": ("reward_id", pa.string(), "text", "as in the database"),
    "learn_sent": ("sent", pa.string(), "text", "as in the database"),
    "learn_time": ("time", pa.int64(), "microseconds since 1970 UTC", "when the reward was accepted"),
}


def schema(problem: Problem, experiment: dict[str, Any], begins: int = 0) -> pa.Schema:
    """Return the schema of an export: types, and units and meanings in the fields' metadata."""
    return pa.schema(_fields(problem), {"onearm": json.dumps(header_of(problem, experiment, begins))})


def joined_schema(problem: Problem, experiment: dict[str, Any], extent: Extent) -> pa.Schema:
    """Return the same of an export in the joined form, whose `reward` is what is known in the end."""
    further = [_field(name, *about) for name, (_, *about) in LEARNED.items()]
    return pa.schema([*_fields(problem), *further], {"onearm": json.dumps(joined_header(problem, experiment, extent))})


def _fields(problem: Problem) -> list[pa.Field]:
    lists = _list_types(problem)
    fields = [_field("seq", pa.int64(), "events", "position in the log, from 1")]
    for name, (dtype, unit, meaning) in SCHEMA.items():
        if name == "detail":
            continue  # below, as text
        if name != "context" or problem.context_shape != (0,):  # there is no list of size 0
            fields.append(_field(name, lists.get(name) or pa.from_numpy_dtype(np.dtype(dtype)), unit, meaning))
    fields += [_field(name, pa.string(), "text", "as in the database") for name in TEXTS]
    fields.append(_field("time", pa.int64(), "microseconds since 1970 UTC", "when the event was accepted"))
    fields.append(_field("policy", pa.int64(), "number", "which policy decided; null for the first"))
    return fields


def _list_types(problem: Problem) -> dict[str, pa.DataType]:
    kind, shape = problem.layout, problem.context_shape
    if kind == "dense":
        types = {"context": pa.list_(pa.float64(), shape[0]), "available": pa.list_(pa.bool_(), problem.n_choices)}
        if not problem.is_numbered:
            actions = empty_actions(0, problem)
            types["action"] = pa.list_(pa.from_numpy_dtype(actions.dtype), actions.shape[1])
        return types
    rows = FEATURES if kind == "named" else pa.list_(pa.list_(pa.float64(), shape[1]))
    return {"context": rows, "available": pa.list_(pa.bool_())}


def leaves(name: str, kind: pa.DataType) -> list[str]:
    """Return what Parquet calls the columns of which one of Arrow consists."""
    if pa.types.is_struct(kind):
        return [leaf for field in kind for leaf in leaves(f"{name}.{field.name}", field.type)]
    if pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind):
        return leaves(f"{name}.list.element", kind.value_type)
    return [name]


def _field(name: str, kind: pa.DataType, unit: str, meaning: str) -> pa.Field:
    return pa.field(name, kind, metadata={"unit": unit, "meaning": meaning})
