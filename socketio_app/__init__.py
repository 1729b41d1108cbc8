"""A real-time chat over Socket.IO: by itself, or mounted in a FastAPI or Starlette application."""
