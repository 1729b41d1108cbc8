"""Tokens: JSON Web Tokens, checked with python-jose."""
