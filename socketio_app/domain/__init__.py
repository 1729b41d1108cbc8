"""The rules of the chat.

Everything here is synchronous and deterministic: no I/O, no clock, no randomness, no logging.
Times and identifiers are arguments; changes are return values.
"""
