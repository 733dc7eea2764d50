"""Models and tools of all workspaces, kept as they are desired."""
