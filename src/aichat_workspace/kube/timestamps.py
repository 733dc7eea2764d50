"""Times as Kubernetes writes them."""

from datetime import UTC, datetime


def format_micro_time(moment: datetime) -> str:
    """Format a time as https://pkg.go.dev/k8s.io/apimachinery/pkg/apis/meta/v1#MicroTime."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
