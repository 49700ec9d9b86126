"""Rules that choose the knob of a linear solver."""
