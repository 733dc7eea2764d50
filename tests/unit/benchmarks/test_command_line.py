"""The benchmark of the command line."""

from benchmarks import command_line


def test_a_list_of_the_answering_server_is_timed() -> None:
    rows = [*command_line.measure(1, 3)]
    assert [row.what for row in rows] == [
        "aichatctl --help",
        "aichatctl list -o table, 3 workspaces",
        "aichatctl list -o json, 3 workspaces",
    ]
    assert all("p50" in row.figure and "of CPU" in row.compared for row in rows)
