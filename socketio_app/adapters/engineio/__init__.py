"""Engine.IO 4: sessions over polling and WebSockets, upgrades and heartbeats."""
