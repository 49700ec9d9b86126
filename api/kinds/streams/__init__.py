"""Decisions about arms that come once."""
