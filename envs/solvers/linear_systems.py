"""Linear systems: any sequence of sparse systems A x = b, each solved with a relaxation that the arm names.

Source: the setting of Khodak, Chow, Balcan, Talwalkar, "Learning to relax: setting solver parameters across a sequence
of linear system instances", ICLR 2024. A solve starts at 0 and ends at a residual of at most rtol |b|; it pays minus
its iterations, or minus the cap where it does not converge; b = 0 pays 0 at every arm, which says nothing about any,
and is learned like other rewards: leave such systems out. After the last system the first comes again.
State: none. Cost: a solve per decision.

A matrix is anything that `engine/solvers/matrix_entries.py` reads: in a sparse form of SciPy's, or rows of numbers. In
a file, .npz, matrices lie one behind the other; `write_systems` writes one:
    rows    int[m], how many rows each matrix has
    start   int[sum of rows + m], of each matrix its indptr, from 0
    index   int[sum of entries], of each matrix its indices
    value   float[sum of entries]
    b       float[sum of the rows of all systems' matrices], all right-hand sides
    matrix  int[s], which matrix each system has; where it is left out, system i has matrix i
    context float[s, d], may be left out
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ...engine.errors import InvalidInput, NotFound
from ...engine.kernel import kernel
from ...engine.problem import ARMS_MAX, check_table, check_vector
from ...engine.protocol import register_env
from ...engine.solvers.cg import CgWork, cg_work
from ...engine.solvers.matrix_entries import entries_of
from ...engine.solvers.omega_grid import check_omegas, omega_of
from ...engine.solvers.solve_cost import (
    CAP_MAX,
    SOR,
    check_method,
    check_rtol,
    check_whole,
    paid,
    solve,
    solve_by_rows,
)
from ...engine.solvers.sor import Half, Rows, half_of, norm_of, rows_of
from ...engine.solvers.sparse import ASYMMETRY_MAX, Csr, asymmetry, check_csr, check_symmetric
from ...engine.vocabulary import Array, Environment, Instance, Key, Problem

_ROWS = -1  # instead of a method: SOR on matrices of which one at least is not symmetric


class LinearSystemsParams(NamedTuple):
    """Numbers fixed at creation. Arrays of all matrices, and of all systems, lie one behind the other."""

    omega_min: float  # of the grid: `engine/solvers/omega_grid.py`
    omega_max: float
    method: int
    rtol: float
    iterations_max: int
    matrix: Array  # int64[s] of each system
    row_at: Array  # int64[m + 1] the first row of each matrix
    entry_at: Array  # int64[m + 1] its first entry beside the diagonal, or below it
    start: Array  # int32[rows + m], each from 0: `Half` or `Rows`
    index: Array
    value: Array
    diagonal: Array  # float64[rows]
    b_at: Array  # int64[s + 1]
    b: Array
    context: Array  # float64[s, d]


class LinearSystemsState(NamedTuple):
    """Working space, float64[n] of the largest system; nothing is kept."""

    scratch_x: Array
    scratch_work: CgWork


class Systems(NamedTuple):
    """What is to be solved, checked."""

    matrices: list[Csr]
    numbers: list[int]  # of each, where it stood first
    matrix: Array  # int64[s], of each system
    b: list[Array]
    context: Array  # float64[s, d]


def linear_systems(
    file: str | None = None,
    matrices: Sequence[Any] | Array | None = None,
    b: Sequence[Any] | Array | None = None,
    contexts: Sequence[Any] | Array | None = None,
    method: str = "ssor-cg",
    points: int = 20,
    omega_min: float = 1.0,
    omega_max: float = 1.95,
    rtol: float = 1e-8,
    iterations_max: int = 10_000,
) -> Environment:
    """Pay minus the iterations at the omega of the arm, one of `points` from `omega_min` to `omega_max`.

    The systems are those of `file`, or `matrices` and `b`, one for each, with `contexts`, a number or a row of numbers
    for each, where there are any. `method` "sor" takes any matrix with a positive diagonal, "ssor" and "ssor-cg" need
    symmetric ones.
    """
    if (
        (file is None) == (matrices is None)
        or (matrices is None) != (b is None)
        or not (file is None or contexts is None)
    ):
        raise InvalidInput("bad_param", "name the systems once: give either file, or matrices and b, and contexts")
    given = read_systems(Path(file)) if file is not None else systems_of(matrices, b, contexts)
    wanted = check_method(method)
    if wanted != SOR:
        for number, found in zip(given.numbers, given.matrices, strict=True):
            _named(number, check_symmetric, found)
    elif any(asymmetry(found)[0] > ASYMMETRY_MAX for found in given.matrices):
        wanted = _ROWS
    problem = Problem(check_whole("points", points, ARMS_MAX), given.context.shape[1:], horizon=len(given.b))
    parts = [rows_of(*found) if wanted == _ROWS else half_of(*found) for found in given.matrices]
    params = LinearSystemsParams(
        *check_omegas(omega_min, omega_max),
        wanted,
        check_rtol(rtol),
        check_whole("iterations_max", iterations_max, CAP_MAX),
        given.matrix,
        _ends([len(part.diagonal) for part in parts]),
        _ends([len(part.value) for part in parts]),
        np.concatenate([part.start for part in parts]),
        np.concatenate([part.index for part in parts]),
        np.concatenate([part.value for part in parts]),
        np.concatenate([part.diagonal for part in parts]),
        _ends([len(right) for right in given.b]),
        np.concatenate(given.b),
        given.context,
    )
    return Environment("linear_systems", params, init, problem)


def init(params: LinearSystemsParams, problem: Problem, run: np.uint64) -> LinearSystemsState:
    """Return working space."""
    n = int(np.diff(params.row_at).max())
    return LinearSystemsState(np.zeros(n), cg_work(n))


@kernel
def observe(
    params: LinearSystemsParams, state: LinearSystemsState, t: int, context: Array, available: Array, key: Key
) -> None:
    """Show the context of the system."""
    row = t % len(params.matrix)
    for j in range(len(context)):
        context[j] = params.context[row, j]


@kernel
def respond(
    params: LinearSystemsParams, state: LinearSystemsState, instance: Instance, action: int, detail: Array, key: Key
) -> tuple[float, int]:
    """Solve, and pay at once."""
    row = instance.t % len(params.matrix)
    m = params.matrix[row]
    first, stop = params.row_at[m], params.row_at[m + 1]
    n = stop - first
    start = params.start[first + m : stop + m + 1]
    index = params.index[params.entry_at[m] : params.entry_at[m + 1]]
    value = params.value[params.entry_at[m] : params.entry_at[m + 1]]
    diagonal = params.diagonal[first:stop]
    b = params.b[params.b_at[row] : params.b_at[row + 1]]
    space = state.scratch_work
    work = CgWork(space.r[:n], space.u[:n], space.v[:n], space.p[:n], space.q[:n], space.ap[:n])
    x = state.scratch_x[:n]
    for i in range(n):
        x[i] = 0.0
    omega = omega_of(action, len(instance.available), params.omega_min, params.omega_max)
    tolerance = params.rtol * norm_of(b)
    most = params.iterations_max
    if params.method == _ROWS:
        return paid(solve_by_rows(Rows(start, index, value, diagonal), b, x, omega, tolerance, most, work), most), 0
    half = Half(start, index, value, diagonal)
    return paid(solve(params.method, half, b, x, omega, tolerance, most, work), most), 0


def systems_of(matrices: Any, b: Any, contexts: Any = None) -> Systems:
    """Return systems of Python's objects, checked; a matrix that comes again as the same object is kept once."""
    given, right = _listed("matrices", matrices), _listed("b", b)
    if not given:
        raise InvalidInput("bad_param", "there are no matrices: a sequence has one system at least")
    if len(given) != len(right):
        raise InvalidInput("bad_param", f"there are {len(given)} matrices and {len(right)} right-hand sides: pair them")
    places: dict[int, int] = {}
    numbers: list[int] = []
    for i, matrix in enumerate(given):
        if id(matrix) not in places:
            places[id(matrix)] = len(numbers)
            numbers.append(i)
    found = [_named(i, check_csr, *entries_of(given[i], f"matrix {i}")) for i in numbers]
    return _paired(found, numbers, np.array([places[id(matrix)] for matrix in given]), right, contexts)


def read_systems(file: Path) -> Systems:
    """Return the systems of a file, checked."""
    if not file.is_file():
        raise NotFound(
            "no_file", f"there is no file {file}: write one with onearm.envs.solvers.linear_systems.write_systems"
        )
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, TypeError, AttributeError):
        raise InvalidInput(
            "bad_file", f"{file} is no .npz file of plain arrays: write one with write_systems"
        ) from None
    if missing := {"rows", "start", "index", "value", "b"} - set(arrays):
        raise InvalidInput("bad_file", f"{file} lacks {', '.join(sorted(missing))}: write one with write_systems")
    rows = arrays["rows"]
    if rows.ndim != 1 or rows.dtype.kind not in "iu" or not len(rows) or (rows < 1).any():
        raise InvalidInput("bad_file", f"rows of {file} must be a list of whole numbers from 1 on, one a matrix")
    starts = _cut(file, "start", arrays["start"], rows + 1)
    entries = np.array([start[-1] for start in starts])
    indices, values = (_cut(file, name, arrays[name], entries) for name in ("index", "value"))
    parts = zip(starts, indices, values, rows.tolist(), strict=True)
    found = [_named(i, check_csr, start, index, value, (n, n)) for i, (start, index, value, n) in enumerate(parts)]
    matrix = arrays.get("matrix", np.arange(len(found)))
    if matrix.ndim != 1 or matrix.dtype.kind not in "iu" or not ((matrix >= 0) & (matrix < len(found))).all():
        raise InvalidInput("bad_file", f"matrix of {file} must number the {len(found)} matrices from 0")
    right = _cut(file, "b", arrays["b"], rows[matrix])
    return _paired(found, list(range(len(found))), matrix.astype(np.int64), right, arrays.get("context"))


def write_systems(file: Path, matrices: Any, b: Any, contexts: Any = None) -> None:
    """Write systems into a file for `linear_systems(file=...)`; what is refused there is refused here."""
    given = systems_of(matrices, b, contexts)
    np.savez_compressed(
        file,
        rows=np.array([len(found.start) - 1 for found in given.matrices]),
        start=np.concatenate([found.start for found in given.matrices]),
        index=np.concatenate([found.index for found in given.matrices]),
        value=np.concatenate([found.value for found in given.matrices]),
        b=np.concatenate(given.b),
        matrix=given.matrix,
        context=given.context,
    )


def _listed(name: str, given: Any) -> list[Any]:
    """Return what is given for each system, as a list; what can be read but once could not be told in a spec."""
    if isinstance(given, np.ndarray) and given.ndim:
        return list(given)
    if isinstance(given, Sequence) and not isinstance(given, str):
        return list(given)
    raise InvalidInput(
        "bad_param", f"{name} is a {type(given).__name__}: it must be a list, with one entry for each system"
    )


def _paired(matrices: list[Csr], numbers: list[int], matrix: Array, b: list[Any], contexts: Any) -> Systems:
    """Check right-hand sides and contexts."""
    right = []
    for i, (place, vector) in enumerate(zip(matrix, b, strict=True)):
        right.append(check_vector(f"b[{i}]", vector))
        n = len(matrices[place].start) - 1
        if len(right[-1]) != n:
            raise InvalidInput("bad_param", f"b[{i}] has {len(right[-1])} numbers: its matrix has {n} rows")
    if contexts is None or (isinstance(contexts, np.ndarray) and contexts.shape == (len(b), 0)):
        return Systems(matrices, numbers, matrix, right, np.zeros((len(b), 0)))
    rows: list[Any] = [
        [row] if isinstance(row, (int, float, np.generic)) else row for row in _listed("contexts", contexts)
    ]
    context = check_table("contexts", rows)
    if len(context) != len(b):
        raise InvalidInput("bad_param", f"there are {len(context)} contexts for {len(b)} systems: each needs one")
    return Systems(matrices, numbers, matrix, right, context)


def _named(i: int, check: Any, *given: Any) -> Csr:
    """Return what a check returns; its error says which matrix was meant."""
    try:
        return check(*given)
    except InvalidInput as error:
        raise InvalidInput(error.code, f"matrix {i}: {error}") from None


def _cut(file: Path, name: str, array: Array, lengths: Array) -> list[Array]:
    """Return the parts of an array that have these lengths."""
    if array.ndim != 1 or (lengths < 0).any() or len(array) != lengths.sum():
        raise InvalidInput(
            "bad_file", f"{name} of {file} has the shape {array.shape}: it must hold {lengths.sum()} numbers"
        )
    return np.split(array, np.cumsum(lengths)[:-1])


def _ends(lengths: list[int]) -> Array:
    return np.concatenate(([0], np.cumsum(lengths)))


register_env(LinearSystemsParams, observe=observe, respond=respond)
