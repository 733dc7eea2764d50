"""The way in: only Open WebUI is reachable from outside; Ollama has no authentication."""

from aichat_workspace.domain.manifest import Manifest
from aichat_workspace.domain.render.tenant import OPENWEBUI, OPENWEBUI_PORT, Tenant


def render(tenant: Tenant) -> tuple[Manifest, ...]:
    class_name = tenant.platform.ingress.class_name
    backend = {"service": {"name": tenant.openwebui, "port": {"number": OPENWEBUI_PORT}}}
    return (
        tenant.manifest(
            "networking.k8s.io/v1",
            "Ingress",
            tenant.openwebui,
            OPENWEBUI,
            spec={
                **({"ingressClassName": class_name} if class_name else {}),
                "rules": [
                    {
                        "host": tenant.host,
                        "http": {
                            "paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]
                        },
                    }
                ],
            },
        ),
    )
