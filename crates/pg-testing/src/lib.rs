//! Starts real PostgreSQL clusters for tests and benchmarks: a private data folder, loopback only, stopped when dropped.
