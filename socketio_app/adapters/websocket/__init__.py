"""WebSockets (RFC 6455): frames, connections, and taking them over from uvicorn."""
