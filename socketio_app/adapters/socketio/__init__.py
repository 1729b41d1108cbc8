"""The chat over Socket.IO."""
