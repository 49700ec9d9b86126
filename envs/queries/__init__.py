"""Worlds that answer queries."""
