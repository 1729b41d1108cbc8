"""Fan-out of events to connections, for all transports."""
