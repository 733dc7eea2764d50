"""What a workspace's two pods get where neither it nor the platform says so, as quantities."""

from typing import Final

OLLAMA_CPU_REQUEST: Final = "500m"
OLLAMA_MEMORY_REQUEST: Final = "1Gi"
OLLAMA_MEMORY_LIMIT: Final = "8Gi"
OPEN_WEBUI_CPU_REQUEST: Final = "100m"
OPEN_WEBUI_MEMORY_REQUEST: Final = "512Mi"
