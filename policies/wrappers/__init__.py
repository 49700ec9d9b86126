"""Policies around another policy."""
