"""Elementary functions with the same bits on every machine: exp, log, log_gamma.

They use IEEE + - * / and the bits of a float only, so a log made on one machine replays on another; the C library's
bits differ between builds and processors, and its functions stop a loop from vectorising. None of these branches
around its work: `for a in range(k): w[a] = exp(x[a])` compiles to vector code.

Source: the approximations of fdlibm (Sun Microsystems 1993: "Permission to
use, copy, modify, and distribute this software is freely granted, provided that this notice is preserved").
"""

from __future__ import annotations

import math

import numpy as np

from onearm.engine.kernel import kernel

_EXP_LOW, _EXP_HIGH = -708.0, 709.782712893384
_LOG2_E = 1.4426950408889634
_ROUND = 6755399441055744.0  # 1.5 * 2^52: adding it rounds to an integer, which then is in the low bits
_ROUND_BITS = np.int64(0x4338000000000000)
_LN2_HIGH, _LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10

_TINY = 2.2250738585072014e-308
_MANTISSA = np.int64(0x000FFFFFFFFFFFFF)
_SQRT_HALF = np.int64(0x3FE6A09E00000000)
_TO_SQRT_HALF = np.int64(0x3FF0000000000000 - 0x3FE6A09E00000000)
_INT_IN_FLOAT = np.int64(0x4330000000000000)  # the bits of 2^52: an integer put into its low bits is added to it
_52 = np.int64(52)


@kernel
def exp(x: float) -> float:
    """Return e^x within 1 ulp; 0 below -708 (no subnormal numbers) and inf above 709.78."""
    z = _EXP_LOW if x < _EXP_LOW else x
    z = _EXP_HIGH if z > _EXP_HIGH else z
    shifted = z * _LOG2_E + _ROUND
    n = shifted - _ROUND
    half_power = ((np.float64(shifted).view(np.int64) - _ROUND_BITS) + np.int64(1022)) << _52  # of 2^(n - 1)
    high = z - n * _LN2_HIGH
    low = n * _LN2_LOW
    r = high - low
    rr = r * r
    p = 6.61375632143793436117e-05 + rr * (-1.65339022054652515390e-06 + rr * 4.13813679705723846039e-08)
    c = r - rr * (1.66666666666666019037e-01 + rr * (-2.77777777770155933842e-03 + rr * p))
    y = 1.0 - ((low - (r * c) / (2.0 - c)) - high)
    y = (y + y) * np.int64(half_power).view(np.float64)
    y = 0.0 if x < _EXP_LOW else y
    return math.inf if x > _EXP_HIGH else y


@kernel
def log(x: float) -> float:
    """Return the natural logarithm within 1 ulp; -inf at 0, NaN below."""
    inside = (x > 0.0) & (x < math.inf)
    y = x if inside else 1.0
    small = y < _TINY
    y = y * 18014398509481984.0 if small else y  # 2^54 lifts a subnormal number
    bits = np.float64(y).view(np.int64) + _TO_SQRT_HALF
    k = np.int64((bits >> _52) | _INT_IN_FLOAT).view(np.float64) - (4503599627370496.0 + 1023.0)
    k = k - 54.0 if small else k
    f = np.int64((bits & _MANTISSA) + _SQRT_HALF).view(np.float64) - 1.0
    s = f / (2.0 + f)
    z = s * s
    w = z * z
    even = w * (3.999999999940941908e-01 + w * (2.222219843214978396e-01 + w * 1.531383769920937332e-01))
    odd = z * (
        6.666666666666735130e-01
        + w * (2.857142874366239149e-01 + w * (1.818357216161805012e-01 + w * 1.479819860511658591e-01))
    )
    h = 0.5 * f * f
    y = k * _LN2_HIGH - ((h - (s * (h + (even + odd)) + k * _LN2_LOW)) - f)
    outside = -math.inf if x == 0.0 else (x if x > 0.0 else math.nan)
    return y if inside else outside


@kernel
def log_gamma(x: float) -> float:
    """Return ln Gamma(x), x > 0; absolute error about 1e-15 near its zeros 1 and 2, relative elsewhere."""
    shift = 1.0
    while x < 10.0:
        shift *= x
        x += 1.0
    return (x - 0.5) * log(x) - x + 0.9189385332046727 + stirling(x) - log(shift)


@kernel
def stirling(x: float) -> float:
    """Return ln Gamma(x) - ((x - 1/2) ln x - x + ln(2 pi) / 2), x >= 10: what Stirling's formula leaves out."""
    z = 1.0 / (x * x)
    return (
        8.3333333333333333e-2
        - z * (2.7777777777777778e-3 - z * (7.9365079365079365e-4 - z * (5.9523809523809524e-4 - z * 8.4175084175084175e-4)))
    ) / x
