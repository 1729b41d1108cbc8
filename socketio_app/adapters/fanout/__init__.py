"""Fan-out: events to the connections of any transport."""
