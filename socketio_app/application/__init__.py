"""What the chat does: commands, the use cases that carry them out, and the ports they need.

Nothing here knows a socket, a database, a token's format or JSON.
"""
