"""Clients that put a load on any server which speaks the chat's events, and measure it."""
