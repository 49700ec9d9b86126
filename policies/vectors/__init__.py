"""Policies that decide a point of a domain."""
