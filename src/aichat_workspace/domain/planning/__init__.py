"""What to write so that a tenant is as desired."""
