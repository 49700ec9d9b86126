"""Compiled code: which sources it comes from, where it lies on disk, how it is numba's, and what it reads in place."""
