"""The page of commands has every command, with every option."""

import re

import pytest

from aichat_workspace.documentation import commands
from tests.unit.cli.world import every_command

PAGE = commands.page()


def section(name: str) -> str:
    _, heading, rest = PAGE.partition(f"# `aichatctl {name}`\n")
    assert heading, f"{name} has no section"
    return re.split(r"^##+ ", rest, maxsplit=1, flags=re.MULTILINE)[0]


@pytest.mark.parametrize(("name", "command"), every_command().items())
def test_every_command_has_a_section_with_all_its_options(name: str, command: object) -> None:
    options = [
        option
        for parameter in getattr(command, "params")  # noqa: B009  (Click's own have no types here)
        if parameter.param_type_name == "option" and not parameter.hidden
        for option in parameter.opts
    ]
    assert [option for option in options if option not in section(name)] == []
