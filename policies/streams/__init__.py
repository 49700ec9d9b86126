"""Policies of arms that come once: keep, pull or drop."""
