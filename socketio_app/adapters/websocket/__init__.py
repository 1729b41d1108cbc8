"""WebSockets (RFC 6455): frames, connections, and taking connections over from uvicorn."""
