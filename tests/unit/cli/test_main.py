"""The commands, and the page that shows them."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from aichat_workspace.cli import main
from aichat_workspace.cli.errors import ExitCode
from aichat_workspace.cli.server import settings
from tests.unit.cli.world import TOKEN, World, every_command

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "aichatctl.md").read_text()


ALL = every_command()


@pytest.mark.parametrize("name", ALL)
def test_every_command_says_what_it_does_in_a_line_and_on_the_page(name: str) -> None:
    first = str(ALL[name].help).partition("\n")[0]
    assert first.endswith(".")
    assert len(first) <= 60
    group, _, verb = name.rpartition(" ")
    pattern = rf"`aichatctl {group} list[^`]*`.*`{verb}`" if group else rf"`(aichatctl )?{verb}\b"
    assert re.search(rf"`aichatctl {name}\b|{pattern}", PAGE), f"{name} is not on the page"


@pytest.mark.parametrize("name", ALL)
def test_every_command_takes_a_server_and_explains_all_its_options(name: str) -> None:
    options = [entry for entry in ALL[name].params if entry.param_type_name == "option"]
    assert {"--server", "--context"} <= {text for entry in options for text in entry.opts}
    assert [entry.name for entry in options if not entry.help] == []


def test_the_page_lists_every_exit_code_and_variable() -> None:
    codes = {int(code) for code in re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE)}
    assert codes == {int(code) for code in ExitCode}
    variables = set(re.findall(r"^\| `(AICHAT_\w+)` \|", PAGE, re.MULTILINE))
    assert variables == {
        value for value in vars(settings).values() if str(value).startswith("AICHAT_")
    }


@pytest.mark.parametrize(
    ("program", "name"), [("aichatctl", "aichatctl"), ("kubectl-aichat", "kubectl aichat")]
)
def test_the_program_has_two_names(program: str, name: str) -> None:
    path = Path(sys.executable).parent / program
    ran = subprocess.run(  # noqa: S603  (our own program)
        [path, "--help"], capture_output=True, text=True, timeout=60, check=True
    )
    assert ran.stdout.startswith(f"Usage: {name} ")


def test_a_module_alone_has_the_commands_that_the_program_looks_for_in_it() -> None:
    among_all = typer.main.get_group(main.build()).commands
    assert set(among_all) == {name for names in main._MODULES.values() for name in names}
    for names in main._MODULES.values():
        alone = typer.main.get_group(main.build(names[-1])).commands
        assert set(alone) == set(names)
        for name in names:
            context = typer.Context(among_all[name])
            assert alone[name].get_help(context) == among_all[name].get_help(context)


def test_a_list_imports_nothing_that_other_commands_need(world: World) -> None:
    own = {"about", "reading"}
    imported = _imported("list", AICHAT_SERVER=world.url, AICHAT_TOKEN=TOKEN)
    assert "httpx2" in imported  # it has asked
    prefix = "aichat_workspace.cli.commands."
    assert {name.removeprefix(prefix) for name in imported if name.startswith(prefix)} == own
    heavy = {"aichat_workspace.cli.doctor", "asyncio", "rich.console", "rich.text", "yaml"}
    assert imported & heavy == set()


def test_help_imports_neither_http_nor_what_checks_values() -> None:
    imported = _imported("--help")
    heavy = {"asyncio", "httpx2", "pydantic", "rich.console", "rich.text", "ssl", "yaml"}
    assert imported & heavy == set()


def _imported(*arguments: str, **environment: str) -> set[str]:
    """Return the modules that a run of the program imports."""
    script = (
        "import atexit, json, sys\n"
        "from aichat_workspace.cli.main import main\n"
        "atexit.register(lambda: print(json.dumps(list(sys.modules)), file=sys.stderr))\n"
        "main()\n"
    )
    ran = subprocess.run(  # noqa: S603  (our own program)
        [sys.executable, "-c", script, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return set(json.loads(ran.stderr.splitlines()[-1]))


def test_a_wrong_option_is_a_usage_error() -> None:
    path = Path(sys.executable).parent / "aichatctl"
    ran = subprocess.run(  # noqa: S603  (our own program)
        [path, "list", "--teem", "red"], capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == ExitCode.USAGE
    assert "--team" in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize("form", ["table", "json", "yaml"])
def test_a_result_that_can_not_be_written_is_an_error_in_words(world: World, form: str) -> None:
    world.put()
    ran = _run_in_shell("exec aichatctl list -o $FORM >/dev/full", world, FORM=form)
    assert ran.returncode == ExitCode.FAILED
    assert ran.stderr == "error: the result was not written\n  No space left on device\n"


def test_a_closed_output_and_a_reader_that_has_had_enough_are_no_crashes(world: World) -> None:
    world.put()
    for command in (
        "exec aichatctl list >&-",
        "exec aichatctl list 2>&-",
        "aichatctl list | true",
        "aichatctl list -o json | true",
    ):
        ran = _run_in_shell(command, world)
        assert (ran.returncode, ran.stderr) == (0, ""), command


def _run_in_shell(
    command: str, world: World, **environment: str
) -> subprocess.CompletedProcess[str]:
    folder = Path(sys.executable).parent
    paths = {"PATH": f"{folder}:{os.environ['PATH']}"}
    return subprocess.run(  # noqa: S603  (our own program)
        ["/bin/sh", "-c", command],
        env={**os.environ, **paths, **world.environment, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
