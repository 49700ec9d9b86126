"""Exact optima of small problems, by linear programmes. Needs SciPy; nothing else in the engine imports it."""
