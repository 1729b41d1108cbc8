"""Benchmarks of each command on a store with a million messages."""
