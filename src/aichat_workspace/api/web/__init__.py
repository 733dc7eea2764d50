"""HTTP concerns that do not depend on workspaces."""
