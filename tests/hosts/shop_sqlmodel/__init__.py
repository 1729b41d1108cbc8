"""The modules of the reference host that differ with SQLModel."""
