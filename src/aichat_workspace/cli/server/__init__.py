"""Which server is meant, and how to reach it."""
