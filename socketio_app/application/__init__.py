"""Commands, the use cases that execute them, and the ports they need.

Nothing here depends on sockets, databases, token formats or JSON.
"""
