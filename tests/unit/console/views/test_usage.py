from aichat_workspace.console.views.usage import (
    Gauge,
    team_gauges,
    team_rows,
    titles,
    workspace_gauges,
)

CPU = {"resource": "limits.cpu", "used": "3", "hard": "6", "percent": 50}
GPU = {"resource": "requests.nvidia.com/gpu", "used": "1", "hard": "1", "percent": 100}
PORTS = {"resource": "services.nodeports", "used": "0", "hard": "0", "percent": None}


def volume(name: str, capacity: int | None, models: int | None) -> dict[str, object]:
    return {
        "name": name,
        "phase": "Bound" if capacity else "Pending",
        "requestedBytes": 2**30,
        "capacityBytes": capacity,
        "modelBytes": models,
    }


def test_a_workspace_has_gauges_of_what_people_ask_about() -> None:
    volumes = [volume("ollama", 2**31, 2**30), volume("openWebUI", 2**30, None)]
    assert workspace_gauges({"quota": [PORTS, GPU, CPU], "volumes": volumes}) == (
        Gauge("CPU", "3 of 6", 50),
        Gauge("requests.nvidia.com/gpu", "1 of 1", 100),
        Gauge("Models' volume", "1.0 GiB of 2.0 GiB", 50),
        Gauge("Chat's volume", "1.0 GiB", None),
    )


def test_a_volume_that_is_not_there_yet_says_its_phase() -> None:
    gauges = workspace_gauges({"quota": (), "volumes": [volume("ollama", None, None)]})
    assert gauges == (Gauge("Models' volume", "Pending of 1.0 GiB", None),)


def test_a_team_has_the_sums_and_its_models() -> None:
    sums = {"quota": [CPU], "models": {"bytes": 2**30}, "volumes": {"capacityBytes": 2**32}}
    assert team_gauges(sums)[-1] == Gauge("Models", "1.0 GiB of 4.0 GiB", None)


def test_models_of_a_team_without_a_bound_volume_are_of_no_total() -> None:
    sums = {"quota": [], "models": {"bytes": 2**30}, "volumes": {"capacityBytes": 0}}
    assert team_gauges(sums)[-1] == Gauge("Models", "1.0 GiB", None)


def test_teams_have_the_same_columns_also_where_one_lacks_a_resource() -> None:
    rows = team_rows(
        [
            {"team": "red", "workspaces": 1, "quota": [CPU]},
            {"team": "blue", "workspaces": 2, "quota": [GPU]},
        ]
    )
    columns = titles(rows)
    assert columns == ("CPU", "requests.nvidia.com/gpu")
    assert [gauge and gauge.text for gauge in rows[1].in_order(columns)] == [None, "1 of 1"]
