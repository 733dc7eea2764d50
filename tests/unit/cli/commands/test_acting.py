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


def test_suspending_and_resuming_say_what_was_done(world: World) -> None:
    world.put()
    assert world.run("suspend", "red-chat").err == "red-chat is suspended\n"
    assert world.run("suspend", "red-chat").err == "red-chat is suspended already\n"
    assert world.workspace()["spec"]["suspended"] is True
    assert world.run("resume", "red-chat", "--dry-run").err == "red-chat would be resumed\n"
    assert world.run("resume", "red-chat").err == "red-chat is resumed\n"
    assert world.workspace()["spec"]["suspended"] is False
