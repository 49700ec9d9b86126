"""The pages for people: what there is, how each experiment does, why it decided so, and what an admin may do."""
