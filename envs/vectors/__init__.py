"""Worlds in which a vector is decided."""
