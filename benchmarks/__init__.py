"""Benchmarks of the chat next to comparable servers."""
