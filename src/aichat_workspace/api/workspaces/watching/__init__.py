"""Workspaces are followed: by streams of events, and by waiting for a phase."""
