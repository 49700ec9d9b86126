"""Compiled code on disk: which sources it comes from, where it lies, and how numba's code becomes it."""
