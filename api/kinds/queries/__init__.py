"""Queries: what to ask next within a budget, and in the end a hypothesis that is recommended."""
