"""The demo's shop. Its known truth is for tests and benchmarks, and lives with them."""
