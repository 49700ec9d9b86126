"""Linear solvers with one knob, and what tunes it while they work.

SOR, SSOR and conjugate gradients with SSOR all have an omega, and the right one can be worth a factor of five; which
one that is depends on the matrix, and nobody knows it beforehand. Where many similar systems are solved one after
another, a bandit finds it out on the way: it chooses an omega for each solve, and sees how many iterations that took.

The shortest way hands over the systems, one by one as they come. Here the diffusivity varies, and is the context:

>>> import numpy as np
>>> from onearm.api.solver import Tuner, solve_sequence
>>> n = 20
>>> second = 2.0 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1)
>>> def systems(steps):
...     for t in range(steps):
...         diffusivity = 5.0 + 4.0 * np.sin(t / 10)
...         yield np.eye(n) + diffusivity * second, np.ones(n), diffusivity
>>> tuned = solve_sequence(systems(60), method="sor", tuner="chebcb", context=(1.0, 9.0), warm_start=False)
>>> sum(solved.iterations for solved in tuned) < 60 * 75
True

For any other solver with one knob, ask a tuner for a value, and tell it what the solve cost:

>>> tuner = Tuner("tsallis", values=[1e-4, 1e-3, 1e-2], cost="iterations", seed=1)
>>> for step in range(200):
...     with tuner.trial() as trial:
...         trial.iterations = {1e-4: 9, 1e-3: 12, 1e-2: 40}[trial.value]
>>> tuner.report().best
0.0001

`docs/solver.md` says when that pays, which tuner to take, and what is proved.
"""

from ...engine.solvers.matrix_entries import NoEntries
from .lanes import sor_many
from .matrices import Matrix, prepare
from .preconditioning import ssor_preconditioner
from .report import ArmReport, Report
from .sequence import Solved, Solves, solve_sequence
from .solution import Solution, Solutions
from .solving import cg, sor, ssor, ssor_cg
from .stencil import sor_stencil
from .trial import Proposal, Trial
from .tuners import PatternKey, Tuners
from .tuning import Tuner

__all__ = [
    "ArmReport",
    "Matrix",
    "NoEntries",
    "PatternKey",
    "Proposal",
    "Report",
    "Solution",
    "Solutions",
    "Solved",
    "Solves",
    "Trial",
    "Tuner",
    "Tuners",
    "cg",
    "prepare",
    "solve_sequence",
    "sor",
    "sor_many",
    "sor_stencil",
    "ssor",
    "ssor_cg",
    "ssor_preconditioner",
]
