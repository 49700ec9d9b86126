"""Worlds of numbered arms."""
