"""Off-policy value: what a policy would have earned, from the log of another one.

Plain functions over columns. An estimator (`snips`, `dr`, ...) makes terms of columns, an interval (`normal`,
`bootstrap`, ...) takes any terms:

>>> import numpy as np
>>> reward, propensity, target = np.array([1.0, 0.0, 1.0]), np.array([0.5, 0.5, 0.25]), np.array([1.0, 0.0, 0.5])
>>> found = snips(reward, propensity, target)
>>> found.value
1.0
"""

from __future__ import annotations

from onearm.engine.estimate.terms import Interval, Terms
from onearm.engine.estimate.weighting import match, snips

__all__ = ["Interval", "Terms", "match", "snips"]
