"""The results as a readable page."""
