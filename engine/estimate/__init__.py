"""Off-policy value: what a policy would have earned, from the log of another one.

Plain functions over columns. An estimator (`snips`, `dr`, ...) makes terms of columns, an interval (`normal`,
`bootstrap`, ...) takes any terms:

>>> import numpy as np
>>> reward, propensity, target = np.array([1.0, 0.0, 1.0]), np.array([0.5, 0.5, 0.25]), np.array([1.0, 0.0, 0.5])
>>> found = snips(reward, propensity, target)
>>> found.value
1.0

The estimators lie in `weighting.py` (no model), `doubly_robust.py` (with a model of the rewards, of `reward_model.py`),
`embedding.py` (actions by categories) and `slates.py` (lists); limits on weights are chosen in `tuning.py`.
"""

from __future__ import annotations

from onearm.engine.estimate.doubly_robust import (
    dm,
    dr,
    dros,
    mrdr,
    mrdr_weight,
    sndr,
    switch_dr,
    tuned_dros,
    tuned_switch_dr,
)
from onearm.engine.estimate.embedding import marginal_weights, mips, regressed_weights
from onearm.engine.estimate.reward_model import MeanModel, RewardModel, RidgeModel, at_action, progressive, under_law
from onearm.engine.estimate.slates import cascade, cascade_dr, independent, pseudo_inverse, slate_ips
from onearm.engine.estimate.terms import Interval, Terms
from onearm.engine.estimate.tuning import Tuned
from onearm.engine.estimate.weighting import clipped, ips, match, snips, tuned_clipped

__all__ = [
    "Interval",
    "MeanModel",
    "RewardModel",
    "RidgeModel",
    "Terms",
    "Tuned",
    "at_action",
    "cascade",
    "cascade_dr",
    "clipped",
    "dm",
    "dr",
    "dros",
    "independent",
    "ips",
    "marginal_weights",
    "match",
    "mips",
    "mrdr",
    "mrdr_weight",
    "progressive",
    "pseudo_inverse",
    "regressed_weights",
    "slate_ips",
    "sndr",
    "snips",
    "switch_dr",
    "tuned_clipped",
    "tuned_dros",
    "tuned_switch_dr",
    "under_law",
]
