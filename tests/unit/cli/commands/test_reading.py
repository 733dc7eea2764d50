"""Commands that read."""

import json
import re
from collections.abc import Iterator

import pytest
import yaml

from tests.unit.cli.world import PULLING_STATUS, READY_STATUS, STALLED_STATUS, SYSTEM, World


@pytest.fixture
def two(world: World) -> World:
    """One workspace that is ready, and one that downloads a model."""
    world.put()
    world.put("research", team="science", version=2, status=PULLING_STATUS)
    return world


class TestList:
    def test_a_list_shows_every_workspace_with_its_state_and_progress(self, two: World) -> None:
        result = two.run("list")
        assert (result.code, result.err) == (0, "")
        header, ready, pulling = result.out.splitlines()
        assert header.split() == ["WORKSPACE", "TEAM", "STATE", "MODELS", "URL", "AGE"]
        assert ready.split()[:5] == ["red-chat", "red", "●", "Ready", "1/1"]
        assert "◐ Downloading" in pulling
        assert pulling.endswith("llama3.3:70b 41 %, about 6 min")

    def test_a_filter_is_the_apis(self, two: World) -> None:
        assert two.run("list", "--team", "science", "-o", "name").out == "research\n"
        assert two.run("list", "--phase", "Ready", "-o", "name").out == "red-chat\n"
        assert two.run("list", "-q", "resea", "-o", "name").out == "research\n"

    def test_labels_conditions_and_cost_centres_are_filtered_by_and_orders_are_the_apis(
        self, two: World
    ) -> None:
        spec = {"labels": {"stage": "prod"}, "costCentre": "CC-1", "displayName": "Lab\x1b[2J"}
        two.put("lab", team="science", version=3, spec=spec, created="2026-01-02T00:00:00Z")
        for options, names in (
            (("--label", "stage=prod"), ["lab"]),
            (("--label", "!stage"), ["red-chat", "research"]),
            (("--cost-centre", "CC-1"), ["lab"]),
            (("--condition", "Ready=False"), ["research"]),
            (("--sort", "-created"), ["lab", "research", "red-chat"]),
            (("--sort", "phase"), ["research", "lab", "red-chat"]),
        ):
            assert two.run("list", *options, "-o", "name").out.split() == names, options
        wide = two.run("list", "--label", "stage", "-o", "wide").out
        assert "CC-1" in wide
        assert "\x1b" not in wide
        refused = two.run("list", "--sort", "size")
        assert refused.code == 1
        assert "sort: Input should be 'name'" in refused.err

    def test_what_nobody_has_used_is_listed_by_an_age_or_a_date(self, two: World) -> None:
        used = {"usedAt": "2026-01-05T00:00:00Z", "askedAt": "2026-02-05T00:00:00Z"}
        two.put("lab", team="science", version=3, status={"phase": "Ready", "activity": used})
        for when, names in (
            ("2026-01-04", ""),
            ("2026-01-06", "lab\n"),
            ("2026-01-06T00:00:00+02:00", "lab\n"),
            ("12h", ""),
        ):
            assert two.run("list", "--idle-since", when, "-o", "name").out == names, when
        header, row, *_ = two.run("list", "-q", "lab", "-o", "wide").out.splitlines()
        assert "LAST USED" in header
        assert re.search(r" \d+d +\d+d +2026-01-01T00:00:00Z", row)
        refused = two.run("list", "--idle-since", "30 days")
        assert refused.code == 2
        assert "write 30d" in refused.err
        assert two.run("list", "--sort", "usedAt", "-o", "name").out.split()[-1] == "lab"

    def test_json_and_yaml_are_the_apis_documents(self, two: World) -> None:
        items = json.loads(two.run("list", "-o", "json").out)["items"]
        assert [item["name"] for item in items] == ["red-chat", "research"]
        assert yaml.safe_load(two.run("list", "-o", "yaml").out)["items"] == items

    def test_every_page_is_read(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("aichat_workspace.cli.client.api._PAGE", 2)
        names = [f"chat-{number}" for number in range(5)]
        for version, name in enumerate(names, start=1):
            world.put(name, version=version)
        assert world.run("list", "-o", "name").out.split() == names

    def test_an_empty_list_says_what_to_do(self, world: World) -> None:
        assert "aichatctl create" in world.run("list").out

    def test_wide_has_more_columns(self, two: World) -> None:
        assert "REQUESTED BY" in two.run("list", "-o", "wide").out


class TestGet:
    def test_a_workspace_is_the_apis_document(self, two: World) -> None:
        document = json.loads(two.run("get", "red-chat", "-o", "json").out)
        assert (document["name"], document["team"]) == ("red-chat", "red")

    def test_a_missing_workspace_is_exit_code_3_with_the_next_command(self, world: World) -> None:
        result = world.run("get", "blue-chat")
        assert result.code == 3
        assert result.out == ""
        what, why, fix = result.err.splitlines()
        assert what == "error: blue-chat was not read"
        assert "There is no workspace 'blue-chat'" in why
        assert fix == "  try: aichatctl list"

    def test_what_is_forbidden_is_exit_code_4(self, world: World) -> None:
        world.put()
        world.cluster.forbidden.add("get log")
        assert world.run("get", "red-chat", AICHAT_TOKEN="another").code == 4
        assert world.run("logs", "red-chat", "ollama").code == 4


class TestDescribe:
    def test_a_report_says_why_and_what_to_type_next(self, world: World) -> None:
        world.put(status=STALLED_STATUS)
        world.cluster.cluster_events = [
            {
                "metadata": {"creationTimestamp": "2026-01-01T00:00:00Z", "resourceVersion": "1"},
                "type": "Warning",
                "reason": "Full",
                "message": "no space left",
                "involvedObject": {"kind": "Pod", "name": "ollama-0"},
            }
        ]
        result = world.run("describe", "red-chat")
        assert result.code == 0, result.err
        assert "▲ Needs you" in result.out
        assert "the models' volume is full [AI" in result.out
        assert "aichatctl edit red-chat --models-volume SIZE" in result.out
        assert "aichatctl edit red-chat" in result.out
        assert "no space left" in result.out

    def test_documents_have_all_parts(self, world: World) -> None:
        world.put()
        report = json.loads(world.run("describe", "red-chat", "-o", "json").out)
        assert {*report} == {"workspace", "diagnosis", "events", "history"}

    def test_a_report_says_who_changed_it_last(self, world: World) -> None:
        world.put()
        assert world.run("edit", "red-chat", "--display-name", "Red").code == 0
        lines = world.run("describe", "red-chat").out.splitlines()
        change = lines[lines.index("Last changes") + 2]
        assert change.split()[1:] == ["ann", "changed", "spec.displayName"]


def test_events_come_oldest_first(world: World) -> None:
    world.put()
    world.cluster.cluster_events = [
        {
            "metadata": {
                "creationTimestamp": f"2026-01-01T00:00:0{second}Z",
                "resourceVersion": "1",
            },
            "reason": f"Reason{second}",
        }
        for second in (2, 1)
    ]
    lines = world.run("events", "red-chat").out.splitlines()
    assert ["Reason1" in lines[1], "Reason2" in lines[2]] == [True, True]


def test_patterns_are_listed(world: World) -> None:
    assert world.run("patterns").out.splitlines()[1].split() == [
        *("explain_code", "built", "in", "You", "explain", "code.")
    ]


QUOTA = {
    "hard": {"limits.cpu": "6", "limits.memory": "10Gi", "requests.nvidia.com/gpu": "2"},
    "used": {"limits.cpu": "4500m", "limits.memory": "10Gi"},
}


@pytest.fixture
def measured(world: World) -> Iterator[World]:
    """A workspace whose quota and one volume are known."""
    resources = [{"kind": "Service", "name": "one", "state": "Present"}]
    models = [{"name": "gemma2:2b", "state": "Ready", "completedBytes": 2**31}]
    world.put(status={**READY_STATUS, "resources": resources, "models": models})
    metadata = {"name": "red-chat", "namespace": "red-chat", "resourceVersion": "1"}
    claim = {
        "metadata": {**metadata, "name": "red-chat-ollama"},
        "spec": {"storageClassName": "fast", "resources": {"requests": {"storage": "4Gi"}}},
        "status": {"phase": "Bound", "capacity": {"storage": "4Gi"}},
    }
    quota = {"metadata": metadata, "status": QUOTA}
    cluster = world.services.cluster
    world.call(lambda: cluster._quotas._store.put(quota))
    world.call(lambda: cluster._claims._store.put(claim))
    yield world
    world.call(lambda: cluster._quotas._store.remove(quota))
    world.call(lambda: cluster._claims._store.remove(claim))


class TestUsage:
    def test_a_workspaces_usage_has_a_bar_for_each_share(self, measured: World) -> None:
        lines = measured.run("usage", "red-chat").out.splitlines()
        assert lines[0] == "red-chat  team red"
        rows = {text.split("  ")[0]: text for text in lines[2:]}
        assert rows["CPU"].split() == ["CPU", "4500m", "6", f"{'━' * 15}{'─' * 5}", "75", "%"]
        assert rows["memory"].endswith("━ 100 %")
        assert rows["requests.nvidia.com/gpu"].split()[1:3] == ["0", "2"]
        assert rows["models' volume"].endswith(f" {'━' * 10}{'─' * 10}  50 %")
        assert rows["objects"].split()[1:3] == ["1", "1"]
        assert rows["gemma2:2b"].split()[1:] == ["2.0", "GiB"]
        assert lines[-1] == "last used: not known"

    def test_the_names_of_a_quota_are_its_own_when_wide(self, measured: World) -> None:
        assert "limits.cpu" in measured.run("usage", "red-chat", "-o", "wide").out
        assert "limits.cpu" not in measured.run("usage", "red-chat").out

    def test_a_team_and_the_platform_are_summed(self, measured: World) -> None:
        team = measured.run("usage", "--team", "red").out
        assert team.startswith("team red  1 workspace\n")
        assert "1 model" in team
        platform = measured.run("usage", "--platform").out.splitlines()
        assert platform[0] == "the platform  1 workspace"
        (row,) = [text for text in platform if text.startswith("red ")]
        cells = [cell.strip() for cell in row.split("  ") if cell.strip()]
        assert cells == ["red", "1", "4500m of 6", "10Gi of 10Gi", "-", "2.0 GiB"]
        assert measured.run("usage", "--platform", "-o", "name").out.split() == [SYSTEM, "red"]

    @pytest.mark.parametrize(
        "options", [[], ["red-chat", "--platform"], ["--platform", "-t", "red"]]
    )
    def test_usage_is_of_one_thing(self, world: World, options: list[str]) -> None:
        result = world.run("usage", *options)
        assert result.code == 2
        assert "try: aichatctl usage" in result.err

    def test_a_team_that_is_not_there_is_told(self, world: World) -> None:
        result = world.run("usage", "--team", "none")
        assert (result.code, "There is no team 'none'" in result.err) == (3, True)


class TestHistory:
    def test_each_change_is_a_line_with_who_and_what_the_newest_last(self, world: World) -> None:
        world.put()
        for arguments in (
            ("models", "add", "red-chat", "llama3.2"),
            ("models", "remove", "red-chat", "gemma2:2b"),
            ("edit", "red-chat", "--display-name", "Red"),
            ("suspend", "red-chat"),
            ("resume", "red-chat"),
            ("restart", "red-chat"),
        ):
            assert world.run(*arguments).code == 0
        result = world.run("history", "red-chat")
        assert result.code == 0, result.err
        header, *lines = result.out.splitlines()
        assert header.split() == ["AGE", "WHO", "WHAT"]
        assert [text.split(maxsplit=1)[1].split(maxsplit=1) for text in lines] == [
            ["ann", "added llama3.2"],
            ["ann", "removed gemma2:2b"],
            ["ann", "changed spec.displayName"],
            ["ann", "suspended it"],
            ["ann", "resumed it"],
            ["ann", "restarted it"],
        ]

    def test_a_wide_one_has_times_and_the_ids_of_requests(self, world: World) -> None:
        world.put()
        assert world.run("suspend", "red-chat").code == 0
        (item,) = json.loads(world.run("history", "red-chat", "-o", "json").out)["items"]
        wide = world.run("history", "red-chat", "-o", "wide").out.splitlines()
        assert wide[0].split() == ["TIME", "WHO", "WHAT", "REQUEST"]
        assert item["time"] in wide[1]
        assert wide[1].endswith(item["requestId"])
        assert world.run("history", "red-chat", "-o", "name").out == "ann\n"

    def test_a_workspace_without_a_record_says_so(self, world: World) -> None:
        world.put()
        assert world.run("history", "red-chat").out == "no changes are recorded\n"
        assert world.run("history", "no-chat").code == 3
