"""Policies that choose an arm by the state that it moves."""
