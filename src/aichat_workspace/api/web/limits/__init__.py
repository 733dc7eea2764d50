"""What one client may hold and take."""
