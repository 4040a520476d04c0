"""The HTML report of runs: what it reads, its sections, its plots, its template."""
