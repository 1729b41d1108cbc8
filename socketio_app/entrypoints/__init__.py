"""Settings, composition, the ASGI application and the command line."""
