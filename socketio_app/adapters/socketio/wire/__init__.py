"""The wire contract: every name and payload that a Socket.IO client sees (docs/wire.md).

Nothing here knows of sockets. Commands come in, through `incoming.parse`; acknowledgements,
refusals and events go out, through `outgoing`, as plain dictionaries.
"""
