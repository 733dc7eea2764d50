"""Checks of everything between a person and their workspaces."""
