"""Use cases of workspaces."""
