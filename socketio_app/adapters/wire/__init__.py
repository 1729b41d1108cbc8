"""The wire contract that all transports share: names and payloads (docs/wire.md).

Nothing here knows of sockets. Commands come in, through `incoming.parse`; acknowledgements,
refusals and events go out, through `outgoing`, as plain dictionaries.
"""
