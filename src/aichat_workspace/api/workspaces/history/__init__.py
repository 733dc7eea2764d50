"""Who changed what of a workspace, and when."""
