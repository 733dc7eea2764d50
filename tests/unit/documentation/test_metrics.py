"""The page of metrics has exactly what is exported."""

import re

from aichat_workspace.api.metrics import Metrics as ApiMetrics
from aichat_workspace.documentation import metrics
from aichat_workspace.operator.telemetry.metrics import MEANINGS

ROWS = re.findall(r"^\| `(aichat_\w+)` \| (\w+) \| (.*?) \| (.*) \|$", metrics.page(), re.MULTILINE)


def test_every_metric_has_a_row_with_its_meaning() -> None:
    body, _ = ApiMetrics(streams=lambda: 0, workspaces=lambda: 0).render()
    exported = set(re.findall(r"^# TYPE (aichat_api_\w+) ", body.decode(), re.MULTILINE))
    names = [name for name, *_ in ROWS]
    assert set(names) == set(MEANINGS) | {
        name for name in exported if not name.endswith("_created")
    }
    assert len(names) == len(set(names))
    assert all(meaning for *_, meaning in ROWS)


def test_a_row_has_type_and_labels() -> None:
    rows = {name: (kind, labels) for name, kind, labels, _ in ROWS}
    assert rows["aichat_workspaces"] == ("gauge", "`phase`")
    assert rows["aichat_operator_reconcile_duration_seconds"] == ("histogram", "-")
    assert rows["aichat_api_http_requests_total"] == ("counter", "`code`, `method`, `route`")
