"""Decisions that are a point of a domain."""
