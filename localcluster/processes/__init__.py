"""Child processes, background processes, and locks between processes."""
