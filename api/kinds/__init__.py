"""The kinds of decisions: arms, vectors, queries, streams of arms."""
