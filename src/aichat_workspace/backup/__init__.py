"""Back up one chat's data to a store, and restore it: `aichat-workspace-backup`."""
