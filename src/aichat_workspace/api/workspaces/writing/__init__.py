"""Workspaces are created, changed and deleted: what may be written, and how no change is lost."""
