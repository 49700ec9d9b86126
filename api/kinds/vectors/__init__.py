"""Vectors: a point of a domain is decided, or two, and a gradient, losses, an example or rewards are revealed."""
