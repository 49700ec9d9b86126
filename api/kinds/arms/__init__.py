"""Arms: one of k is chosen, with or without contexts. They may join and retire, or each call lists its own."""
