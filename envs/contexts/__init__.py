"""Worlds whose instances have features."""
