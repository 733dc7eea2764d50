"""What is reported of a workspace."""
