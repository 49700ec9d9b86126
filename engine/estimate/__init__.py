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

from .binomial import clopper_pearson
from .bootstrap import bootstrap
from .clusters import by_unit, groups_among, groups_of
from .diagnostics import Diagnostics, diagnose, diagnose_each
from .difference import difference_sequence
from .doubly_robust import (
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
from .embedding import marginal_weights, mips, regressed_weights
from .eprocess import EProcess, action_e_process, weight_e_process
from .interval import empirical_bernstein, normal
from .likelihood import empirical_likelihood, weighted_likelihood
from .ranking import Ranking, rank
from .reward_model import MeanModel, RewardModel, RidgeModel, at_action, progressive, under_law
from .sequence import Sequence, confidence_sequence, match_sequence
from .slates import cascade, cascade_dr, independent, pseudo_inverse, slate_ips
from .terms import Interval, Terms
from .tuning import Tuned
from .weighting import clipped, ips, match, snips, tuned_clipped, weights

__all__ = [
    "Diagnostics",
    "EProcess",
    "Interval",
    "MeanModel",
    "Ranking",
    "RewardModel",
    "RidgeModel",
    "Sequence",
    "Terms",
    "Tuned",
    "action_e_process",
    "at_action",
    "bootstrap",
    "by_unit",
    "cascade",
    "cascade_dr",
    "clipped",
    "clopper_pearson",
    "confidence_sequence",
    "diagnose",
    "diagnose_each",
    "difference_sequence",
    "dm",
    "dr",
    "dros",
    "empirical_bernstein",
    "empirical_likelihood",
    "groups_among",
    "groups_of",
    "independent",
    "ips",
    "marginal_weights",
    "match",
    "match_sequence",
    "mips",
    "mrdr",
    "mrdr_weight",
    "normal",
    "progressive",
    "pseudo_inverse",
    "rank",
    "regressed_weights",
    "slate_ips",
    "sndr",
    "snips",
    "switch_dr",
    "tuned_clipped",
    "tuned_dros",
    "tuned_switch_dr",
    "under_law",
    "weight_e_process",
    "weighted_likelihood",
    "weights",
]
