"""How fast the chat is, measured side by side with what it is to be measured by."""
