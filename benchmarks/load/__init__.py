"""Clients that load any server with the chat's events, and measure it."""
