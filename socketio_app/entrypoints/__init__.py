"""Where it all comes together: settings, composition, the ASGI application, the command line."""
