"""Log lines of a workspace's pods."""
