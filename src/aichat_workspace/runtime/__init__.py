"""Shared by the operator and the API: connections to workspaces' servers, and logs."""
