"""Decisions that are a query, and a recommendation in the end."""
