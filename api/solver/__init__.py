"""Linear solvers with one knob, and what tunes it while they work."""
