"""The results as a page that people read."""
