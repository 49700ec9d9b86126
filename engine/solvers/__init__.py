"""Linear solvers with a knob: SOR, SSOR and conjugate gradients, over matrices that were checked once."""
