"""The chat with something that no setting turns on or off."""
