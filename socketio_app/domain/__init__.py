"""The rules of the chat.

Everything here is plain and synchronous: no clock, no randomness, no logging, nothing that waits.
Time and identity are handed in; what changed is returned.
"""
