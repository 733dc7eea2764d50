"""The API's cost is the difference of two samples."""

from benchmarks.api.server import Sample, upstream


def test_requests_upstream_are_told_apart() -> None:
    name = "aichat_api_kube_requests_total"
    text = (
        f'{name}{{code="201",resource="reviews",verb="POST"}} 7.0\n'
        f'{name}{{code="200",resource="namespaces",verb="WATCH"}} 2.0\n'
        f'{name}{{code="200",resource="aichatworkspaces",verb="GET"}} 3.0\n'
    )
    before, after = Sample(0, 1, 100, upstream("")), Sample(10, 6, 100, upstream(text))
    expected = "3 (3 aichatworkspaces), 7 reviews, 2 renewals of its own watches"
    assert after.upstream_since(before) == expected
    assert after.upstream_since(after) == "0, 0 reviews, 0 renewals of its own watches"
    assert after.cpu_since(before) == 0.5
