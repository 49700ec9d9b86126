"""What a policy needs to notice that the world has changed, and to remember the worlds that it has seen."""
