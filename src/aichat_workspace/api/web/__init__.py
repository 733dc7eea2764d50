"""HTTP, without a word of workspaces."""
