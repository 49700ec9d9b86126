"""Policies that ask within a budget, and recommend in the end."""
