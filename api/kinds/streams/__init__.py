"""Streams of arms: arms are offered and come once, the policy reads them one after another, and a client pulls."""
