"""Policies that choose one of a few numbered arms."""
