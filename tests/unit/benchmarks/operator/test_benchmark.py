"""The operator's requests are counted from its metrics."""

from benchmarks.operator.benchmark import requests


def test_the_operators_requests_are_counted_without_watches_and_its_lease() -> None:
    name = "aichat_operator_kube_requests_total"
    text = (
        f'{name}{{code="200",resource="services",verb="APPLY"}} 2.0\n'
        f'{name}{{code="409",resource="services",verb="APPLY"}} 1.0\n'
        f'{name}{{code="200",resource="services",verb="WATCH"}} 4.0\n'
        f'{name}{{code="200",resource="leases",verb="PUT"}} 9.0\n'
    )
    assert requests(text) == {"APPLY services": 3}
