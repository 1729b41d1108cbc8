"""What each command costs on a store that holds a million messages."""
