"""The wire contract, shared by all transports: names and payloads (docs/wire.md).

Nothing here knows about sockets. `registry.parse` converts payloads to commands, and `outgoing`
converts results, errors and events to plain dictionaries.
"""
