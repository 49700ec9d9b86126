"""Elementary functions with the same bits on every machine: exp, log, log1p, log_gamma, cos_turns.

They use IEEE + - * / and the bits of a float only, so a log made on one machine replays on another; the C library's
bits differ between builds and processors, and its functions stop a loop from vectorising. exp, log and log1p have no
branch: `for a in range(k): w[a] = exp(x[a])` compiles to vector code. Where Python runs them, exp and log do the same
sums on Python's floats (0.3 us a call, and 4 on NumPy's scalars).

Source: exp and log use the approximations of fdlibm (Sun Microsystems 1993: "Permission to use, copy, modify, and
distribute this software is freely granted, provided that this notice is preserved"). The one of log_gamma is our fit.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .kernel import kernel, kernel_beside
from .vocabulary import Array

_EXP_LOW, _EXP_HIGH = -708.0, 709.782712893384  # below: subnormal numbers; above: infinity
_LOG2_E = 1.4426950408889634
_LN2_HIGH, _LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
_ROUND = 6755399441055744.0  # 1.5 * 2^52: adding it rounds to an integer, which then is in the low bits
_ROUND_BITS = np.int64(0x4338000000000000)
_1022 = np.int64(1022)
_52 = np.int64(52)

_TINY = 2.2250738585072014e-308  # the smallest number that is not subnormal
_TWO_54 = 18014398509481984.0
_MANTISSA = np.int64(0x000FFFFFFFFFFFFF)
_SQRT_HALF = np.int64(0x3FE6A09E00000000)
_SQRT_HALF_ROUNDED = float(_SQRT_HALF.view(np.float64))
_TO_SQRT_HALF = np.int64(0x3FF0000000000000 - 0x3FE6A09E00000000)
_TWO_52_BITS = np.int64(0x4330000000000000)  # an integer put into the low bits of 2^52 is added to it
_TWO_52_AND_BIAS = 4503599627370496.0 + 1023.0


def _exp_in_python(x: float) -> float:
    """Return what `exp` does, as it does; a power of 2 multiplies exactly, whoever does it."""
    z = float(x)
    if not _EXP_LOW <= z <= _EXP_HIGH:
        return 0.0 if z < _EXP_LOW else (math.inf if z > _EXP_HIGH else np.float64(z))
    n = (z * _LOG2_E + _ROUND) - _ROUND
    high = z - n * _LN2_HIGH
    low = n * _LN2_LOW
    r = high - low
    rr = r * r
    p = 6.61375632143793436117e-05 + rr * (-1.65339022054652515390e-06 + rr * 4.13813679705723846039e-08)
    c = r - rr * (1.66666666666666019037e-01 + rr * (-2.77777777770155933842e-03 + rr * p))
    return np.float64(math.ldexp(1.0 - ((low - (r * c) / (2.0 - c)) - high), int(n)))


@kernel_beside(_exp_in_python)
def exp(x: float) -> float:
    """Return e^x within 1 ulp; 0 below -708, where results would be subnormal, and inf above 709.78."""
    z = _EXP_LOW if x < _EXP_LOW else x
    z = _EXP_HIGH if z > _EXP_HIGH else z
    shifted = z * _LOG2_E + _ROUND
    n = shifted - _ROUND
    power = (np.float64(shifted).view(np.int64) - _ROUND_BITS + _1022) << _52  # the bits of 2^(n - 1)
    high = z - n * _LN2_HIGH
    low = n * _LN2_LOW
    r = high - low
    rr = r * r
    p = 6.61375632143793436117e-05 + rr * (-1.65339022054652515390e-06 + rr * 4.13813679705723846039e-08)
    c = r - rr * (1.66666666666666019037e-01 + rr * (-2.77777777770155933842e-03 + rr * p))
    y = 1.0 - ((low - (r * c) / (2.0 - c)) - high)
    y = (y + y) * np.int64(power).view(np.float64)
    y = 0.0 if x < _EXP_LOW else y
    return math.inf if x > _EXP_HIGH else y


def exp_of_each(x: Array) -> Array:
    """Return `exp` of each of an array's numbers, all at once in NumPy, to the same bits."""
    with np.errstate(invalid="ignore"):  # NaN stays NaN
        z = np.minimum(np.maximum(x, _EXP_LOW), _EXP_HIGH)
        n = (z * _LOG2_E + _ROUND) - _ROUND
        high = z - n * _LN2_HIGH
        low = n * _LN2_LOW
        r = high - low
        rr = r * r
        p = 6.61375632143793436117e-05 + rr * (-1.65339022054652515390e-06 + rr * 4.13813679705723846039e-08)
        c = r - rr * (1.66666666666666019037e-01 + rr * (-2.77777777770155933842e-03 + rr * p))
        y: Array = np.ldexp(1.0 - ((low - (r * c) / (2.0 - c)) - high), n.astype(np.int32))
    y[x < _EXP_LOW] = 0.0
    y[x > _EXP_HIGH] = math.inf
    return y


def _log_in_python(x: float) -> float:
    """Return what `log` does, as it does."""
    y = float(x)
    if not 0.0 < y < math.inf:
        return -math.inf if y == 0.0 else (x if y > 0.0 else math.nan)
    f, k = math.frexp(y)
    if f < _SQRT_HALF_ROUNDED:
        f, k = f + f, k - 1
    f -= 1.0
    return np.float64(_log_of_parts(f, k))


def _log_of_parts(f: Any, k: Any) -> Any:
    """Return the logarithm of (1 + f) 2^k in Python, of floats or arrays, by the terms of `log`."""
    s = f / (2.0 + f)
    z = s * s
    w = z * z
    even = w * (3.999999999940941908e-01 + w * (2.222219843214978396e-01 + w * 1.531383769920937332e-01))
    odd = z * (
        6.666666666666735130e-01
        + w * (2.857142874366239149e-01 + w * (1.818357216161805012e-01 + w * 1.479819860510658591e-01))
    )
    h = 0.5 * f * f
    return k * _LN2_HIGH - ((h - (s * (h + (even + odd)) + k * _LN2_LOW)) - f)


@kernel_beside(_log_in_python)
def log(x: float) -> float:
    """Return the natural logarithm within 1 ulp; -inf at 0, NaN below."""
    inside = (x > 0.0) & (x < math.inf)
    y = x if inside else 1.0
    small = y < _TINY
    y = y * _TWO_54 if small else y
    bits = np.float64(y).view(np.int64) + _TO_SQRT_HALF
    k = np.int64((bits >> _52) | _TWO_52_BITS).view(np.float64) - _TWO_52_AND_BIAS
    k = k - 54.0 if small else k
    f = np.int64((bits & _MANTISSA) + _SQRT_HALF).view(np.float64) - 1.0  # in [sqrt(1/2) - 1, sqrt(2) - 1)
    s = f / (2.0 + f)
    z = s * s
    w = z * z
    even = w * (3.999999999940941908e-01 + w * (2.222219843214978396e-01 + w * 1.531383769920937332e-01))
    odd = z * (
        6.666666666666735130e-01
        + w * (2.857142874366239149e-01 + w * (1.818357216161805012e-01 + w * 1.479819860510658591e-01))
    )
    h = 0.5 * f * f
    y = k * _LN2_HIGH - ((h - (s * (h + (even + odd)) + k * _LN2_LOW)) - f)
    outside = -math.inf if x == 0.0 else (x if x > 0.0 else math.nan)
    return y if inside else outside


def log_of_each(x: Array) -> Array:
    """Return `log` of each of an array's numbers, all at once in NumPy, to the same bits."""
    inside = (x > 0.0) & (x < math.inf)
    f, k = np.frexp(np.where(inside, x, 1.0))
    low = f < _SQRT_HALF_ROUNDED
    f, n = np.where(low, f + f, f) - 1.0, (k - low).astype(np.float64)
    outside = np.where(x == 0.0, -math.inf, np.where(x > 0.0, x, math.nan))
    return np.where(inside, _log_of_parts(f, n), outside)


@kernel
def log1p(x: float) -> float:
    """Return ln(1 + x), -1 < x < inf, within 2 ulp also near 0: the part of x that 1 + x rounds away is added back."""
    y = 1.0 + x
    return log(y) + (x - (y - 1.0)) / y


@kernel
def log_gamma(x: float) -> float:
    """Return ln Gamma(x), 0 < x < 1e305; relative error 1e-15, or 1e-16 absolute near its zeros 1 and 2.

    Below 10 the recurrence leads to [0, 2), where ln Gamma(2 + y) = y (y + 1) P(y) / Q(y) on -1 <= y < 0.
    P and Q are fitted to 6e-18 relative, and both zeros are factors.
    """
    if x >= 10.0:
        return (x - 0.5) * (log(x) - 1.0) + 0.4189385332046727 + stirling_rest(x)
    product = 1.0
    while x >= 2.0:
        x -= 1.0
        product *= x
    y = x - 2.0 if x >= 1.0 else x - 1.0
    p = 0.0115292029522471846 + y * (0.000489474582793027338 + y * 1.89403466300315078e-06)
    p = 0.422784335098467142 + y * (
        0.639207529926031225 + y * (0.364498081671416599 + y * (0.0963565163644938755 + y * p))
    )
    q = 0.0693629679874681271 + y * (0.00544221663145053261 + y * 0.00013972551337301306)
    q = 1.0 + y * (1.74917746521556434 + y * (1.19920678800022997 + y * (0.405360954094776382 + y * q)))
    base = y * (x - 1.0 if x >= 1.0 else x) * (p / q)
    return base + (log(product) if x >= 1.0 else -log(x))


@kernel
def stirling_rest(x: float) -> float:
    """Return what Stirling's formula leaves out, ln x! - ln(sqrt(2 pi x) (x / e)^x), x >= 10, within 3e-17.

    The same as ln Gamma(x) - ((x - 1/2) ln x - x + ln(2 pi) / 2). Source: Abramowitz and Stegun 6.1.41.
    """
    z = 1.0 / (x * x)
    rest = 1.0 / 1188.0 - z * (691.0 / 360360.0 - z * (1.0 / 156.0))
    return (1.0 / 12.0 - z * (1.0 / 360.0 - z * (1.0 / 1260.0 - z * (1.0 / 1680.0 - z * rest)))) / x


_SINE = (  # of sin(2 pi x) / x in powers of x^2: its Taylor series
    6.283185307179586,
    -41.34170224039976,
    81.60524927607506,
    -76.70585975306139,
    42.058693944897655,
    -15.09464257682299,
    3.819952584848282,
    -0.7181223017785006,
    0.10422916220813984,
    -0.012031585942120627,
    0.0011309237482517963,
    -8.823533599243006e-05,
)


@kernel
def cos_turns(x: float) -> float:
    """Return cos(2 pi x) within 4e-16, for |x| < 2^51; NaN at inf."""
    r = x - ((x + _ROUND) - _ROUND)
    y = 0.25 - abs(r)  # cos(2 pi r) = sin(2 pi y), |y| <= 1/4
    yy = y * y
    p = _SINE[11]
    p = p * yy + _SINE[10]
    p = p * yy + _SINE[9]
    p = p * yy + _SINE[8]
    p = p * yy + _SINE[7]
    p = p * yy + _SINE[6]
    p = p * yy + _SINE[5]
    p = p * yy + _SINE[4]
    p = p * yy + _SINE[3]
    p = p * yy + _SINE[2]
    p = p * yy + _SINE[1]
    p = p * yy + _SINE[0]
    return p * y
