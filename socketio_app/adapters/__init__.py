"""Each thing outside that the chat touches, translated. Adapters do not know one another."""
