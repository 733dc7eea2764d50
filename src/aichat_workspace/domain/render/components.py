"""The components of a workspace, as their label says, and their ports."""

from typing import Final

TENANCY: Final = "tenancy"
OLLAMA: Final = "ollama"
OPENWEBUI: Final = "openwebui"
BACKUP: Final = "backup"
"""Pods that copy the chat's data to a store, or back."""
OLLAMA_PORT: Final = 11434
OPENWEBUI_PORT: Final = 8080
