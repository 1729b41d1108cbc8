"""Adapters: transports, stores, tokens, metrics, tracing and the clock."""
