"""Snapshots of what others depend on: the wire contract and the public API (CONTRIBUTING.md)."""
