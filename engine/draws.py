"""Keyed randomness: a draw is a pure function of (run, t, i).

Source: Philox4x32-10, Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
The Philox key is the 64-bit run key, the counter is (t low, t high, i, attempt). No generator state exists: a retried
decision is the same decision. A sampler that needs more than one block of random bits counts `attempt` up, so draw i
never touches the bits of another i. Every sampler uses + - * / sqrt and `engine/elementary.py` only, so its bits are
the same on every machine.

Draws: uniform, normal, gamma and its logarithm, beta, categorical, binomial.
"""

from __future__ import annotations

import math
from decimal import Decimal, localcontext
from typing import Any, NamedTuple

import numpy as np

from .elementary import exp, log, log1p, stirling_rest
from .kernel import kernel, kernel_beside, routine
from .vocabulary import Array, Key

# Roles of a run, whose draws are independent under one seed: what decides, the world, a policy that is judged on a log
# which another run wrote, and logs drawn from a log.
POLICY, NATURE, EVALUATION, RESAMPLING = 0, 1, 2, 3
_RUNS = (1 << 29) + 1  # index of the draw that makes the keys of an experiment's further policies
RECOMMENDATION = 1 << 29  # index of the draw that breaks the ties of a recommendation: no select draws up there
_BLOCK_BITS = 6
_BLOCK = 1 << _BLOCK_BITS
_LOW = np.uint64(0xFFFFFFFF)
_32 = np.uint64(32)
_11 = np.uint64(11)
_M0, _M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_W0, _W1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)

# One try of a sampler owns 64 attempts: its first block, and those that its rare paths need. A draw made of several
# owns several streams, 2^26 tries each.
_TRY = 64
_STREAM = 1 << 30


@kernel
def philox(
    c0: np.uint64, c1: np.uint64, c2: np.uint64, c3: np.uint64, k0: np.uint64, k1: np.uint64
) -> tuple[np.uint64, np.uint64, np.uint64, np.uint64]:
    """Return the four words of Philox4x32-10 for counter c0..c3 and key k0, k1: 32 bits each, in uint64."""
    for _ in range(10):
        p0 = _M0 * c0
        p1 = _M1 * c2
        c0, c1, c2, c3 = (p1 >> _32) ^ c1 ^ k0, p1 & _LOW, (p0 >> _32) ^ c3 ^ k1, p0 & _LOW
        k0 = (k0 + _W0) & _LOW
        k1 = (k1 + _W1) & _LOW
    return c0, c1, c2, c3


@kernel
def words(key: Key, i: int, attempt: int) -> tuple[np.uint64, np.uint64]:
    """Return two uint64: the block of draw i, attempt `attempt` (samplers that reject count attempts)."""
    t = np.uint64(key.t)
    run = np.uint64(key.run)
    a, b, c, d = philox(t & _LOW, t >> _32, np.uint64(i), np.uint64(attempt), run & _LOW, run >> _32)
    return a | (b << _32), c | (d << _32)


@kernel
def unit(word: np.uint64) -> float:
    """Turn 64 random bits into a float64 in [0, 1): the top 53 bits."""
    return np.float64(np.int64(word >> _11)) * 2.0**-53


@kernel
def open_unit(word: np.uint64) -> float:
    """Turn 64 random bits into a float64 in (0, 1), symmetric around 1/2: the top 52 bits and a half."""
    return (np.float64(np.int64(word >> np.uint64(12))) + 0.5) * 2.0**-52


@kernel
def uniform(key: Key, i: int) -> float:
    """Return the i-th draw from U[0, 1)."""
    return unit(words(key, i, 0)[0])


def _ziggurat() -> tuple[Array, Array, Array]:
    """Return float64[256] scale and edge, and float64[257] density, of 256 layers of equal area under exp(-x^2 / 2).

    Layer j is x[j] wide, and x[j + 1] of it lies under the curve; x[0] is the width of a box with the area of the base,
    tail included. Decimal arithmetic is exact to the last digit, so the tables are the same on every machine. A
    logarithm is the float's and one step of Halley's towards it, which leaves an error of 1e-47: Decimal's own takes
    three times as long, and every start would pay.
    """
    with localcontext() as context:
        context.prec = 30
        area = Decimal("0.004928673233974655347361775402336")

        def curve(x: Decimal) -> Decimal:
            return (-x * x / 2).exp()

        x = [area / curve(_TAIL), _TAIL]
        y = [curve(x[0]), curve(_TAIL)]
        while len(x) < 256:
            y.append(area / x[-1] + y[-1])
            near = Decimal(math.log(y[-1]))
            over = near.exp()
            x.append((-2 * (near + 2 * (y[-1] - over) / (y[-1] + over))).sqrt())
        scale = np.array([float(width / 2**52) for width in x])
        edge = np.array([*(float(width) for width in x[1:]), 0.0])
        density = np.array([*(float(height) for height in y), 1.0])
    return scale, edge, density


_TAIL = Decimal("3.654152885361008771645429720399516")
_SCALE, _EDGE, _DENSITY = _ziggurat()
_TAIL_START = float(_TAIL)


@kernel
def normal(key: Key, i: int) -> float:
    """Return the i-th draw from N(0, 1).

    Source: the ziggurat of Marsaglia and Tsang 2000, 256 layers; the layer and the position come from separate bits
    (Doornik 2005): the low 8 and the high 53 of one word.
    """
    layer, x = _ziggurat_point(words(key, i, 0)[0])
    if abs(x) < _EDGE[layer]:
        return x
    return _normal_rest(key, i, 0, layer, x)


def normals(run: np.uint64, n: int, first: int, d: int) -> Array:
    """Return float64[n, d], in which row i holds `normal(Key(run, i), j)` for d values of j from `first` on.

    All at once in NumPy: for what is drawn before anything is compiled, a hundredth of what single draws take there.
    """
    numbers: Any = np.arange(n)[:, None]
    places: Any = np.arange(first, first + d)
    word: Array = np.asarray(words(Key(run, numbers), places, 0)[0])
    layer = (word & np.uint64(255)).astype(np.int64)
    drawn: Array = (word.view(np.int64) >> np.int64(11)).astype(np.float64) * _SCALE[layer]
    for i, j in np.argwhere(np.abs(drawn) >= _EDGE[layer]):
        drawn[i, j] = _normal_rest(Key(run, int(i)), first + int(j), 0, int(layer[i, j]), float(drawn[i, j]))
    return drawn


@kernel
def _ziggurat_point(word: np.uint64) -> tuple[int, float]:
    """Return a layer and a point in -width .. width of it."""
    layer = int(np.int64(word & np.uint64(255)))
    return layer, float(np.uint64(word).view(np.int64) >> np.int64(11)) * float(_SCALE[layer])


@routine
def _normal_rest(key: Key, i: int, attempt: int, layer: int, x: float) -> float:
    """Finish a normal draw that fell outside its layer's inner box (1 in 80), with the blocks after `attempt`."""
    while True:
        attempt += 1
        a, b = words(key, i, attempt)
        if layer == 0:
            return _normal_tail(key, i, attempt, x < 0.0)
        low = _DENSITY[layer]
        if low + unit(a) * (_DENSITY[layer + 1] - low) < exp(-0.5 * x * x):
            return x
        layer, x = _ziggurat_point(b)
        if abs(x) < _EDGE[layer]:
            return x


@kernel
def _normal_tail(key: Key, i: int, attempt: int, negative: bool) -> float:
    """Draw beyond the last edge (Marsaglia 1964), with the blocks from `attempt` on."""
    while True:
        a, b = words(key, i, attempt)
        x = -log(open_unit(a)) / _TAIL_START
        if -2.0 * log(open_unit(b)) > x * x:
            return -(_TAIL_START + x) if negative else _TAIL_START + x
        attempt += 1


@kernel
def gamma(key: Key, i: int, shape: float) -> float:
    """Return the i-th draw from Gamma(shape, scale 1), shape > 0; below shape 0.01 it may be so small that it is 0.

    Source: Marsaglia and Tsang, "A simple method for generating gamma variables", 2000.
    """
    if shape >= 1.0:
        return _gamma(key, i, 0, shape)
    return _gamma(key, i, 0, shape + 1.0) * exp(log(open_unit(words(key, i, _STREAM)[0])) / shape)


@kernel
def _gamma(key: Key, i: int, attempt: int, shape: float) -> float:
    """Draw from Gamma(shape), shape >= 1, with the blocks from `attempt` on: one block for 98 draws of 100."""
    d = shape - 1.0 / 3.0
    c = 1.0 / math.sqrt(9.0 * d)
    while True:
        a, b = words(key, i, attempt)
        layer, x = _ziggurat_point(a)
        if not abs(x) < _EDGE[layer]:
            x = _normal_rest(key, i, attempt, layer, x)
        v = 1.0 + c * x
        v = v * v * v
        xx = x * x
        u = unit(b)
        if u < 1.0 - 0.0331 * (xx * xx) and v > 0.0:
            return d * v
        if v > 0.0 and log(u) < 0.5 * xx + d * (1.0 - v + log(v)):
            return d * v
        attempt += _TRY


@kernel
def beta(key: Key, i: int, a: float, b: float) -> float:
    """Return the i-th draw from Beta(a, b), a and b > 0: x / (x + y) of two gamma draws.

    Below shape 1 both may be too small for a float64, so their ratio is formed of logarithms.
    """
    if a >= 1.0 and b >= 1.0:
        x = _gamma(key, i, 0, a)
        return x / (x + _gamma(key, i, 2 * _STREAM, b))
    log_x = _log_of_gamma(key, i, 0, a)
    log_y = _log_of_gamma(key, i, 2 * _STREAM, b)
    return 1.0 / (1.0 + exp(log_y - log_x))


@kernel
def log_of_gamma(key: Key, i: int, shape: float) -> float:
    """Return the logarithm of the i-th draw from Gamma(shape, scale 1), shape > 0, also where that draw itself is 0."""
    return _log_of_gamma(key, i, 0, shape)


@kernel
def _log_of_gamma(key: Key, i: int, attempt: int, shape: float) -> float:
    """Return the logarithm of a draw from Gamma(shape)."""
    if shape >= 1.0:
        return log(_gamma(key, i, attempt, shape))
    boost = log(open_unit(words(key, i, attempt + _STREAM)[0])) / shape
    return log(_gamma(key, i, attempt, shape + 1.0)) + boost


@kernel
def categorical(key: Key, i: int, law: Array) -> int:
    """Return the i-th draw of an index from `law`, float64[k] >= 0 that sums to 1 up to rounding."""
    return pick(law, uniform(key, i))


@kernel
def pick(law: Array, u: float) -> int:
    """Return the index in whose share of [0, sum) u lies: the first one whose running sum exceeds u.

    `law` float64[k] >= 0, not all 0. An index of probability 0 is never returned: its running sum is that of the index
    before it. Where rounding leaves u above the sum, the last index of positive probability is returned.
    """
    total = 0.0
    last = 0
    for a in range(len(law)):
        total += law[a]
        if u < total:
            return a
        if law[a] > 0.0:
            last = a
    return last


@kernel
def binomial(key: Key, i: int, n: int, p: float) -> int:
    """Return the i-th draw from Binomial(n, p), 0 <= n <= 1e10, 0 <= p <= 1.

    Source: inversion where the smaller side expects fewer than 10; else BTRS of Hoermann, "The generation of binomial
    random variates", 1993, with the exact test in a form that does not cancel at large n (`_log_binomial`).
    """
    q = min(p, 1.0 - p)
    count = _binomial_small(key, i, n, q) if n * q < 10.0 else _binomial_large(key, i, n, q)
    return count if p <= 0.5 else n - count


@kernel
def _binomial_small(key: Key, i: int, n: int, p: float) -> int:
    """Draw by inversion, n p < 10: walk up from 0. Beyond 110 (chance 1e-70) lie only rounding errors: try again."""
    none = exp(n * log1p(-p))
    odds = p / (1.0 - p)
    attempt = 0
    while True:
        u = unit(words(key, i, attempt)[0])
        probability = none
        for count in range(min(n, 110) + 1):
            if u < probability:
                return count
            u -= probability
            probability *= (n - count) * odds / (count + 1)
        attempt += 1


@kernel
def _binomial_large(key: Key, i: int, n: int, p: float) -> int:
    """Draw by BTRS, n p >= 10, p <= 1/2: transformed rejection, with a squeeze that accepts 6 of 7 tries at once."""
    deviation = math.sqrt(n * p * (1.0 - p))
    b = 1.15 + 2.53 * deviation
    a = -0.0873 + 0.0248 * b + 0.01 * p
    c = n * p + 0.5
    squeeze = 0.92 - 4.2 / b
    attempt = 0
    while True:
        first, second = words(key, i, attempt)
        attempt += 1
        u = open_unit(first) - 0.5
        v = open_unit(second)
        side = 0.5 - abs(u)
        count = np.floor((2.0 * a / side + b) * u + c)
        if side >= 0.07 and v <= squeeze:
            return int(count)
        if count >= 0.0 and count <= n:
            height = v * (2.83 + 5.1 / b) * deviation / (a / (side * side) + b)
            if log(height) <= _log_binomial_ratio(count, float(n), p):
                return int(count)


@kernel
def _log_binomial_ratio(count: float, n: float, p: float) -> float:
    """Return ln of P(count) / P(mode)."""
    return _log_binomial(count, n, p) - _log_binomial(np.floor((n + 1.0) * p), n, p)


@kernel
def _log_binomial(count: float, n: float, p: float) -> float:
    """Return ln P(count) plus a constant of n.

    Source: Loader, "Fast and accurate computation of binomial probabilities", 2000. With factorials in Stirling's form
    the large terms join into two deviances, which are small near the mode: nothing of size n cancels.
    """
    rest = n - count
    deviances = _deviance(count, n * p) + _deviance(rest, n * (1.0 - p))
    return -deviances - _log_factorial_rest(count) - _log_factorial_rest(rest)


@kernel
def _deviance(x: float, mean: float) -> float:
    """Return x ln(x / mean) + mean - x, x >= 0, mean > 0, without cancellation where x is near the mean."""
    gap = x - mean
    if abs(gap) < 0.1 * (x + mean):
        v = gap / (x + mean)
        power = 2.0 * x * v
        total = gap * v
        for j in range(1, 10):  # v^2 < 0.01, so each term is 100 times smaller than the one before
            power *= v * v
            total += power / (2 * j + 1)
        return total
    if x == 0.0:
        return mean
    return x * log(x / mean) - gap


@kernel
def _log_factorial_rest(x: float) -> float:
    """Return ln x! - (x ln x - x) of a whole number x >= 0."""
    if x < 10.0:
        return float(_FACTORIAL_REST[int(x)])
    return _HALF_LOG_TWO_PI + 0.5 * log(x) + stirling_rest(x)


def _factorial_rest() -> Array:
    """Return float64[10], ln x! - (x ln x - x) for x = 0 .. 9, rounded correctly."""
    with localcontext() as context:
        context.prec = 30
        whole = [Decimal(x) for x in range(1, 10)]
        return np.array([0.0] + [float(Decimal(math.factorial(int(x))).ln() - x * x.ln() + x) for x in whole])


_FACTORIAL_REST = _factorial_rest()
_HALF_LOG_TWO_PI = 0.9189385332046727


class UniformBlock(NamedTuple):
    """The draws uniform(key, 0) of 64 consecutive decisions of a run, made at once: 1.5 ns each, and 8 one by one.

    A cache of a pure function: it belongs in a field of a state whose name begins with `scratch_`.
    """

    run: Array  # uint64[1]
    number: Array  # int64[1] t // 64; -1 before the first
    value: Array  # float64[64]


def uniform_block() -> UniformBlock:
    """Return an empty block."""
    return UniformBlock(np.zeros(1, np.uint64), np.full(1, -1), np.zeros(_BLOCK))


@kernel
def uniform_from(block: UniformBlock, key: Key) -> float:
    """Return uniform(key, 0), by way of the block."""
    number = key.t >> _BLOCK_BITS
    if block.number[0] != number or block.run[0] != key.run:
        _fill(block, number, key.run)
    return block.value[key.t & (_BLOCK - 1)]


def _fill_in_python(block: UniformBlock, number: int, run: np.uint64) -> None:
    block.number[0] = number
    block.run[0] = run
    decisions: Any = (number << _BLOCK_BITS) + np.arange(_BLOCK)
    block.value[:] = uniform(Key(run, decisions), 0)


@kernel_beside(_fill_in_python)
def _fill(block: UniformBlock, number: int, run: np.uint64) -> None:
    """Write the draws of the decisions from 64 `number` on."""
    block.number[0] = number
    block.run[0] = run
    for j in range(_BLOCK):
        block.value[j] = uniform(Key(run, (number << _BLOCK_BITS) + j), 0)


def run_key(seed: int, replication: int, role: int) -> np.uint64:
    """Return the 64-bit key of one run: of (seed, replication) for a role.

    >>> len({int(run_key(1, 0, role)) for role in (POLICY, NATURE, EVALUATION, RESAMPLING)})
    4
    """
    low, high = seed & 0xFFFFFFFF, seed >> 32
    word = [np.uint64(x) for x in (low, high, replication, role, 0x6F6E6561, 0x726D)]
    a, b, _, _ = philox(*word)
    return np.uint64(int(a) | int(b) << 32)


@kernel
def run_of(run: np.uint64, number: int) -> np.uint64:
    """Return the key of the run of an experiment's policy by its number; that of number 0 is the experiment's.

    >>> int(run_of(np.uint64(7), 0)), int(run_of(np.uint64(7), 1)) == int(run_of(np.uint64(7), 2))
    (7, False)
    """
    if number <= 0:  # nobody has a number below
        return run
    return words(Key(run, number), _RUNS, 0)[0]
