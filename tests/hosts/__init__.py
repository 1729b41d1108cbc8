"""The reference host, an application as teams write it, and its tests with real clients."""
