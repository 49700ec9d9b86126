"""Artefacts: policies that were trained or solved, as arrays and a description; bytes in, bytes out.

An artefact is two files: NAME.npz, its arrays, and NAME.json, what they are for and how they were made. The arrays of
an architecture, for n queries and m hypotheses, are
"arm_net/1"   w1 [f, 8], b1 [f], w2 [h, f], b2 [h], w3 [g, 3 h], b3 [g], w4 [2, g], b4 [2]              float32
"flat_net/1"  w1 [h, 2 n + m + 1], b1 [h], w2 [g, h], b2 [g], w3 [n + m, g], b3 [n + m]                float32
"table/1"     query [s, n] and recommendation [s', m], laws by the row of a state: `engine/trained/tables.py`   float64
`sha256` is of everything: of the description, which holds that of the arrays.

>>> from onearm.engine.task import best_arm
>>> laws = {"query": np.full((5, 2), 0.5), "recommendation": np.full((15, 2), 0.5)}
>>> worst = {"sample": (0.5,)}
>>> coin = Artefact("coin", "table/1", best_arm(2, "bits"), 2, (1.0,), (0.5,), worst, "sample", {"by": "hand"}, laws)
>>> unpack(*pack(coin)).label == coin.label
True
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import re
import struct
import tokenize
import zipfile
import zlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..errors import Damaged, InvalidInput, OnearmError, as_seen
from ..task import Task
from ..vocabulary import Array
from .networks import ARM_FEATURES
from .tables import TablePolicy, n_rows

FORMAT = 1
PLAYS = ("sample", "greedy")
ARCHITECTURES = ("arm_net/1", "flat_net/1", "table/1")
WIDTH_MAX = 1024  # of a layer
WEIGHT_MAX = 1e4  # so that no output of a network can be infinite
BUDGET_MAX = 1_000_000
TABLE_MAX = 4096  # budget and twice the queries, of a table
LEVELS_MAX = 100
BYTES_MAX = 1 << 28  # of the arrays, and of either file
SHORT = 16  # digits of the sha256 in a label
_DATE = (1980, 1, 1, 0, 0, 0)  # of what is in the zip: the same arrays are the same bytes
_UNREADABLE = (  # what NumPy and the standard library raise for bytes that are not as they were written
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    tokenize.TokenError,
    SyntaxError,
    ValueError,
    EOFError,
    OSError,
    RuntimeError,
    MemoryError,
)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, eq=False)
class Artefact:
    """A policy as arrays, and all that is known of it. Raises `InvalidInput` where the parts do not fit.

    Losses are "worst found", by an adversary or exactly; of "sample" and "greedy" one may be missing, but not `play`'s.
    """

    name: str  # letters, digits, ".", "_" and "-"
    architecture: str
    task: Task
    budget: int  # T, queries
    levels: tuple[float, ...]  # r_k, ascending: the policy was made for instances up to these difficulties
    offsets: tuple[float, ...]  # l*_k, the least worst-case loss known at each level
    worst_case: dict[str, tuple[float, ...]]  # by play: its worst-case loss at each level
    play: str  # the play that is the default
    made: dict[str, Any]  # how, as JSON: command, seed, iterations, candidate, versions, date ...
    arrays: dict[str, Array]

    def __post_init__(self) -> None:
        _check_words(self)
        _check_losses(self)
        _check_arrays(self)

    @cached_property
    def sha256(self) -> str:
        """Return the digest of the whole artefact, in hexadecimal."""
        return hashlib.sha256(_canonical(self._described())).hexdigest()

    @property
    def label(self) -> str:
        """Return name@digits: a name for exactly this artefact."""
        return f"{self.name}@{self.sha256[:SHORT]}"

    def description(self) -> dict[str, Any]:
        """Return everything but the arrays, as JSON."""
        return {**self._described(), "sha256": self.sha256}

    def _described(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "name": self.name,
            "architecture": self.architecture,
            "task": self.task.to_json(),
            "budget": self.budget,
            "levels": list(self.levels),
            "offsets": list(self.offsets),
            "worst_case": {play: list(losses) for play, losses in self.worst_case.items()},
            "play": self.play,
            "made": self.made,
            "arrays_sha256": _digest(self.arrays),
        }


def pack(artefact: Artefact) -> tuple[bytes, bytes]:
    """Return the two files: .npz and .json. The same artefact always gives the same bytes."""
    npz = io.BytesIO()
    with zipfile.ZipFile(npz, "w") as archive:
        for name in sorted(artefact.arrays):
            member = io.BytesIO()
            np.lib.format.write_array(member, artefact.arrays[name], allow_pickle=False)
            info = zipfile.ZipInfo(f"{name}.npy", _DATE)
            archive.writestr(info, member.getvalue(), zipfile.ZIP_DEFLATED)
    text = json.dumps(artefact.description(), indent=2, allow_nan=False)
    return npz.getvalue(), (text + "\n").encode()


def unpack(npz: bytes, description: bytes, source: str = "the artefact") -> Artefact:
    """Return what `pack` packed; nothing is run, and no more is read than the description allows for.

    Raises `Damaged` where the bytes are cut short, edited or from elsewhere, and `InvalidInput` where another version
    of onearm wrote them. `source` is what messages call it.
    """
    body = _json(description, source)
    if type(body.get("format")) is not int or body["format"] != FORMAT or body.get("architecture") not in ARCHITECTURES:
        raise InvalidInput(
            "unknown_artefact",
            f"{source} is of format {str(body.get('format'))[:20]}, architecture "
            f"{str(body.get('architecture'))[:20]!r}: this version of onearm reads format {FORMAT} and "
            f"{', '.join(ARCHITECTURES)}; take the version that made it, or train it again",
        )
    try:
        found = Artefact(
            name=body["name"],
            architecture=body["architecture"],
            task=Task.from_json(body["task"]),
            budget=body["budget"],
            levels=tuple(body["levels"]),
            offsets=tuple(body["offsets"]),
            worst_case={play: tuple(losses) for play, losses in dict(body["worst_case"]).items()},
            play=body["play"],
            made=body["made"],
            arrays=_read(npz, source),
        )
        if set(body) != {*found._described(), "sha256"}:
            raise InvalidInput("bad_artefact", f"its fields are {', '.join(map(str, body))[:200]}")
        same = body["sha256"] == found.sha256 and body["arrays_sha256"] == found._described()["arrays_sha256"]
    except OnearmError as error:
        raise Damaged(
            "bad_artefact", f"{source} cannot be used, for {error}; take the files as they were made"
        ) from None
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise Damaged(
            "bad_artefact",
            f"{source} is not an artefact as onearm writes them ({type(error).__name__}: {str(error)[:80]}): take the "
            "files as they were made",
        ) from None
    if not same:
        raise Damaged(
            "bad_artefact_digest",
            f"{source} is not what was made: its sha256 is {found.sha256[:SHORT]}, and "
            f"{str(body['sha256'])[:SHORT]} is on record; take both files as they were made",
        )
    return found


def _json(description: bytes, source: str) -> dict[str, Any]:
    try:
        body = json.loads(description[: BYTES_MAX + 1].decode())
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict) or len(description) > BYTES_MAX:
        raise Damaged("bad_artefact", f"the description of {source} is not a JSON object: take the file as it was made")
    return body


def _read(npz: bytes, source: str) -> dict[str, Array]:
    """Return the arrays of a .npz; of small size, of numbers, and nothing beside them."""
    try:
        with zipfile.ZipFile(io.BytesIO(npz)) as archive:
            members = archive.infolist()
            names = [member.filename for member in members]
            if sum(member.file_size for member in members) > BYTES_MAX or len(names) > 16:
                raise Damaged("bad_artefact", f"its arrays are more than {BYTES_MAX} bytes: it must be smaller")
            if not {member.compress_type for member in members} <= {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
                raise Damaged("bad_artefact", "its arrays are packed in a way that onearm does not use")
            if len(set(names)) < len(names) or not all(name.endswith(".npy") for name in names):
                raise Damaged("bad_artefact", f"the archive holds {', '.join(names)[:80]}: it must hold arrays alone")
            return {member.filename[:-4]: _array(archive.read(member)) for member in members}
    except _UNREADABLE as error:
        raise Damaged(
            "bad_artefact", f"its arrays cannot be read ({type(error).__name__}: {str(error)[:80]})"
        ) from None


def _array(member: bytes) -> Array:
    """Return the array of a .npy: checked against the bytes that are there before any room is made for it."""
    stream = io.BytesIO(member)
    if np.lib.format.read_magic(stream) != (1, 0):
        raise ValueError("another version of the array format")
    shape, by_column, dtype = np.lib.format.read_array_header_1_0(stream)
    if dtype not in (np.dtype("<f4"), np.dtype("<f8")) or by_column:
        raise ValueError(f"an array of {dtype}")
    if math.prod(shape) * dtype.itemsize != len(member) - stream.tell():
        raise ValueError(f"an array of the shape {shape} in {len(member)} bytes")
    return np.load(io.BytesIO(member), allow_pickle=False)


def _check_words(artefact: Artefact) -> None:
    if not isinstance(artefact.name, str) or not _NAME.fullmatch(artefact.name):
        raise _bad(f"its name is {str(artefact.name)[:80]!r}: up to 100 letters, digits, '.', '_' and '-'")
    if artefact.architecture not in ARCHITECTURES:
        raise _bad(f"the architecture is {artefact.architecture!r}: it must be one of {', '.join(ARCHITECTURES)}")
    budget = artefact.budget
    if isinstance(budget, bool) or not isinstance(budget, int) or not 1 <= budget <= BUDGET_MAX:
        raise _bad(f"the budget is {as_seen(budget)}: it must be a whole number from 1 to {BUDGET_MAX}")
    if (artefact.architecture == "arm_net/1") != (artefact.task.kind == "arms") and artefact.architecture != "table/1":
        raise _bad(f"{artefact.architecture} is not for the task {artefact.task.kind!r}")
    try:
        _canonical(artefact.made)
    except (TypeError, ValueError, RecursionError):
        raise _bad("how it was made is no JSON: it must be an object of finite numbers, texts and lists") from None
    if not isinstance(artefact.made, dict):
        raise _bad("how it was made is no JSON object")


def _check_losses(artefact: Artefact) -> None:
    levels = artefact.levels
    if not 1 <= len(levels) <= LEVELS_MAX or not _numbers(levels):
        raise _bad(f"there are {len(levels)} levels: 1 to {LEVELS_MAX} finite numbers are needed")
    if not all(low < high for low, high in zip((0.0, *levels), levels, strict=False)):
        raise _bad(f"the levels are {list(levels)}: they must be above 0 and ascend")
    if artefact.play not in artefact.worst_case or not set(artefact.worst_case) <= set(PLAYS):
        raise _bad(
            f"there are worst cases of {', '.join(map(str, artefact.worst_case))[:80]}, and the default play is "
            f"{str(artefact.play)[:20]!r}: they are of {' and '.join(PLAYS)}, the default among them"
        )
    for what, losses in {"offsets": artefact.offsets, **artefact.worst_case}.items():
        if len(losses) != len(levels) or not _numbers(losses) or min(losses) < 0.0:
            raise _bad(f"the losses of {what} are {str(losses)[:80]}: one of 0 or more is needed for each level")


def _numbers(values: tuple[Any, ...]) -> bool:
    return all(isinstance(x, (int, float)) and not isinstance(x, bool) and abs(x) <= 1e100 for x in values)


def _check_arrays(artefact: Artefact) -> None:
    table = artefact.architecture == "table/1"
    if table:
        _check_table(artefact)
    else:
        _check_shapes(artefact, _layers(artefact))
    dtype = np.dtype(np.float64 if table else np.float32)
    for name, array in artefact.arrays.items():
        if array.dtype != dtype or not array.flags.c_contiguous:
            raise _bad(f"{name} is of {array.dtype}: it must be of {dtype}, row by row")
        if not (np.abs(array) <= WEIGHT_MAX).all():
            raise _bad(f"{name} holds a number that is not finite, or above {WEIGHT_MAX:g}")


def _check_shapes(artefact: Artefact, wanted: dict[str, tuple[int, ...]]) -> None:
    found = {name: array.shape for name, array in artefact.arrays.items()}
    if found != wanted:
        raise _bad(f"its arrays have the shapes {_shown(found)}: {artefact.architecture} needs {_shown(wanted)}")


def _check_table(artefact: Artefact) -> None:
    task, budget = artefact.task, artefact.budget
    if budget + 2 * task.n_queries > TABLE_MAX:  # far more states than a table holds, and a number too large to count
        raise _bad(f"a table of {task.n_queries} queries and a budget of {budget} has too many states")
    n, m = task.n_queries, task.n_hypotheses
    shapes: dict[str, tuple[int, ...]] = {"query": (n_rows(n, budget - 1), n)}
    _check_shapes(artefact, {**shapes, "recommendation": (n_rows(n, budget), m)})
    TablePolicy(task, budget, artefact.arrays["query"], artefact.arrays["recommendation"])


def _layers(artefact: Artefact) -> dict[str, tuple[int, ...]]:
    """Return the shapes that a network's arrays must have, given the widths of its hidden layers."""
    n, m = artefact.task.n_queries, artefact.task.n_hypotheses
    arms = artefact.architecture == "arm_net/1"
    widths = []
    for layer in range(1, 4 if arms else 3):
        bias = artefact.arrays.get(f"b{layer}")
        if bias is None or bias.ndim != 1 or not 1 <= len(bias) <= WIDTH_MAX:
            raise _bad(f"b{layer} is missing, or not of 1 to {WIDTH_MAX} numbers")
        widths.append(len(bias))
    if arms:
        inputs, outputs = [ARM_FEATURES, widths[0], 3 * widths[1], widths[2]], [*widths, 2]
    else:
        inputs, outputs = [2 * n + m + 1, *widths], [*widths, n + m]
    shapes: dict[str, tuple[int, ...]] = {}
    for layer, (out, into) in enumerate(zip(outputs, inputs, strict=True), 1):
        shapes |= {f"w{layer}": (out, into), f"b{layer}": (out,)}
    return shapes


def _shown(shapes: dict[str, tuple[int, ...]]) -> str:
    return ", ".join(f"{name} {list(shape)}" for name, shape in list(shapes.items())[:16])


def _bad(message: str) -> InvalidInput:
    return InvalidInput("bad_artefact", message)


def _digest(arrays: dict[str, Array]) -> str:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name} {array.dtype.str} {list(array.shape)}\n".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _canonical(body: Any) -> bytes:
    return json.dumps(body, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
