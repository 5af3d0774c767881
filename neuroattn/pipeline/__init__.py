"""Which stages there are, how they hang together, and how one is run."""
