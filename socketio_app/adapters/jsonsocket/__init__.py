"""The chat over a plain WebSocket: one JSON object for each text frame (docs/wire.md)."""
