"""Heat in a square whose diffusivity changes in time, by Crank and Nicolson; each step is solved by SciPy's CG.

Run it: python docs/examples/heat_before.py [points a side] [steps]. `heat_after.py` is the same, with a tuned solver.
"""

import sys
import time

import numpy as np
import scipy.sparse as sparse
from scipy.sparse.linalg import cg

DT = 1e-3


def kappa(t):
    """The diffusivity: slow for half a second, then up to a hundred times faster."""
    return max(0.1 * np.sin(2 * np.pi * t), -10 * np.sin(2 * np.pi * t))


def bump(x, y, at, radius):
    """A smooth bump, 1 at its centre."""
    far = np.minimum(1.0, ((x - at[0]) ** 2 + (y - at[1]) ** 2) / radius**2)
    return np.exp(1.0 - 1.0 / np.maximum(1.0 - far, 1e-9))


def run(nx=100, steps=1000):
    """Step from t = 0 on; return the temperatures, float64[(nx - 1)^2], and the iterations."""
    x, y = (axis.ravel() for axis in np.meshgrid(*2 * [np.arange(1, nx) / nx], indexing="ij"))
    line = sparse.diags_array([1.0, -2.0, 1.0], offsets=[-1, 0, 1], shape=(nx - 1, nx - 1)) * nx**2
    one = sparse.eye_array(nx - 1)
    laplacian = (sparse.kron(line, one) + sparse.kron(one, line)).tocsr()
    identity = sparse.eye_array((nx - 1) ** 2).tocsr()

    def step(t, u):
        """Return the system whose solution is the temperature at t + dt."""
        half = t + DT / 2
        flow = (kappa(half) * DT / 2) * laplacian
        source = (0.5 + np.cos(16 * np.pi * half) / 4, 0.5 + np.sin(16 * np.pi * half) / 4)
        return identity - flow, u + flow @ u + DT * 32 * bump(x, y, source, 0.125)

    u = bump(x, y, (0.5, 0.5), 0.25)
    times = DT * np.arange(steps)
    iterations = []
    for t in times:
        A, b = step(t, u)
        u, _ = cg(A, b, u, rtol=1e-8, callback=lambda _: iterations.append(1))
    return u, sum(iterations)


if __name__ == "__main__":
    run(4, 2)  # what is compiled is compiled now, once on a machine
    started = time.perf_counter()
    _, iterations = run(*map(int, sys.argv[1:]))
    print(f"{iterations:,} iterations, {time.perf_counter() - started:.1f} s")
