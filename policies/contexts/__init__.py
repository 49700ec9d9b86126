"""Policies that choose an arm by features."""
