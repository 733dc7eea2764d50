"""What the operator keeps in the cluster for its next start."""
