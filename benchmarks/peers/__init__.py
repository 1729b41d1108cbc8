"""The same chat in other frameworks, as their users would write it."""
