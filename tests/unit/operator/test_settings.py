import pytest

from aichat_workspace.operator.settings import Settings


def test_outside_a_cluster_it_runs_as_on_a_laptop() -> None:
    assert Settings.read({}, in_cluster=False).dev
    assert not Settings.read({}, in_cluster=True).dev
    assert Settings.read({"ENV": "dev"}, in_cluster=True).dev


def test_a_port_that_is_none_is_refused_with_the_variable_named() -> None:
    with pytest.raises(ValueError, match="PROBE_PORT"):
        Settings.read({"PROBE_PORT": "high"}, in_cluster=True)


def test_the_image_of_backups_is_named_where_the_operator_is_in_no_pod() -> None:
    assert (
        Settings.read({"BACKUP_IMAGE": "operator:1"}, in_cluster=False).backup_image == "operator:1"
    )
    assert Settings.read({}, in_cluster=True).backup_image == ""
