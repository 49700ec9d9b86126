"""Policies on logs that another policy wrote."""
