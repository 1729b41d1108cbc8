"""Durable stores: SQLite for one process, PostgreSQL for several."""
