"""Studies: the paper's claims, and questions beside them, each tested by one command at a small scale."""
