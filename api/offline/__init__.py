"""Offline: what policies are worth, from the log of another one. Behind `onearm evaluate` and `onearm replay`."""
