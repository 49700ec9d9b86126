"""Worlds in which a decision moves a state."""
