"""Worlds whose arms come once."""
