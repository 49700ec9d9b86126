"""What policies share that ask: what answers say, which query is next, who is eliminated."""
