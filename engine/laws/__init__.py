"""Probabilities of all available actions, and draws from them."""
