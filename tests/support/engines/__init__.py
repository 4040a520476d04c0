"""Real engines for tests, started on loopback at free ports: a Dask cluster, a Flink cluster."""
