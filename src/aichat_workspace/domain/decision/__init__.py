"""What one reconcile decides: pure, on one snapshot."""
