"""Worlds around another world."""
