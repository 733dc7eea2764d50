"""Commands that stop, start and delete."""

from tests.unit.cli.world import World


class TestDelete:
    def test_a_deletion_is_confirmed_by_a_flag_without_a_terminal(self, world: World) -> None:
        world.put()
        refused = world.run("delete", "red-chat", stdin="y\n")
        assert refused.code == 2
        assert "with all its chats, documents and models" in refused.err
        assert world.workspace() is not None
        assert world.run("delete", "red-chat", "--yes").code == 0
        assert world.workspace() is None

    def test_waiting_for_what_is_gone_ends_at_once(self, world: World) -> None:
        world.put()
        result = world.run("delete", "red-chat", "--yes", "--wait")
        assert result.code == 0
        assert result.err.endswith("red-chat is deleted\n")

    def test_a_dry_run_deletes_nothing(self, world: World) -> None:
        world.put()
        assert world.run("delete", "red-chat", "--dry-run").code == 0
        assert world.workspace() is not None


def test_a_restart_asks_for_new_pods_of_one_or_both_workloads(world: World) -> None:
    world.put()
    assert world.run("restart", "red-chat", "--dry-run").err == "red-chat would be restarted\n"
    assert "restart" not in world.workspace()["spec"]
    result = world.run("restart", "red-chat", "--workload", "openwebui")
    assert result.err == "red-chat is being restarted\n"
    first = world.workspace()["spec"]["restart"]
    assert first.keys() == {"openWebUI"}
    assert world.run("restart", "red-chat").code == 0
    second = world.workspace()["spec"]["restart"]
    assert second.keys() == {"ollama", "openWebUI"}
    assert second["openWebUI"] != first["openWebUI"]


def test_a_suspended_workspace_is_not_restarted(world: World) -> None:
    world.put()
    world.run("suspend", "red-chat")
    result = world.run("restart", "red-chat")
    assert result.code == 1
    assert "there is nothing to restart. Resume it" in result.err


class TestTeam:
    def test_a_team_is_suspended_and_resumed_after_a_question(self, world: World) -> None:
        world.put()
        world.put("notes", version=2)
        world.put("other", team="blue", version=3)
        refused = world.run("suspend", "--team", "red", stdin="y\n")
        assert refused.code == 2
        assert "Suspend all workspaces of team red?" in refused.err
        world.run("suspend", "--team", "red", "--dry-run")
        assert not world.workspace()["spec"].get("suspended")
        done = world.run("suspend", "--team", "red", "--yes")
        assert done.err == "notes is suspended\nred-chat is suspended\n"
        assert world.workspace("notes")["spec"]["suspended"] is True
        assert not world.workspace("other", "blue")["spec"].get("suspended")
        again = world.run("suspend", "--team", "red", "--yes")
        assert again.err == "no workspace of team red had to be suspended\n"
        assert world.run("resume", "--team", "red", "--yes").code == 0
        assert world.workspace("notes")["spec"]["suspended"] is False

    def test_what_was_refused_is_told_for_each_workspace(self, world: World) -> None:
        world.put()
        world.cluster.forbidden = {"patch"}
        result = world.run("suspend", "--team", "red", "--yes")
        assert result.code == 1
        assert "red-chat: " in result.err
        assert "may not patch" in result.err

    def test_a_name_or_a_team_is_needed(self, world: World) -> None:
        assert world.run("suspend").code == 2
        assert world.run("suspend", "--team", "red", "--yes", "--wait").code == 2


def test_suspending_and_resuming_say_what_was_done(world: World) -> None:
    world.put()
    assert world.run("suspend", "red-chat").err == "red-chat is suspended\n"
    assert world.run("suspend", "red-chat").err == "red-chat is suspended already\n"
    assert world.workspace()["spec"]["suspended"] is True
    assert world.run("resume", "red-chat", "--dry-run").err == "red-chat would be resumed\n"
    assert world.run("resume", "red-chat").err == "red-chat is resumed\n"
    assert world.workspace()["spec"]["suspended"] is False
