"""A manifest becomes a template by its paths, and all other text stays."""

import pytest

from aichat_workspace.chart.edits import Edit, after, apply, before, block, line, scalar

MANIFEST = """\
# Of the object.
kind: Deployment
spec:
  # Two, so that one can go.
  replicas: 2  # pods
  resources:
    limits: {memory: 1Gi}

  # The pods' own.
  containers:
    - name: api
      ports: [80, 443]
"""


@pytest.mark.parametrize(
    ("edit", "original", "replacement"),
    [
        (
            scalar(("spec", "replicas"), ".Values.replicas"),
            "  replicas: 2  # pods\n",
            "  replicas: {{ .Values.replicas }}  # pods\n",
        ),
        (
            block(("spec", "resources"), "toYaml .Values.resources"),
            "  resources:\n    limits: {memory: 1Gi}\n",
            "  resources: {{- toYaml .Values.resources | nindent 4 }}\n",
        ),
        (
            scalar(("spec", "containers", 0, "ports"), ".Values.ports | toJson"),
            "ports: [80, 443]",
            "ports: {{ .Values.ports | toJson }}",
        ),
        (
            line(("spec", "containers", 0, "ports"), "tty: true"),
            "      ports:",
            "      tty: true\n      ports:",
        ),
        (
            before(("spec", "replicas"), ".Values.more"),
            "  # Two,",
            "  {{- with .Values.more | trim }}{{ . | nindent 2 }}{{- end }}\n  # Two,",
        ),
        (
            after(("spec", "resources"), ".Values.more"),
            "{memory: 1Gi}\n",
            "{memory: 1Gi}\n  {{- with .Values.more | trim }}{{ . | nindent 2 }}{{- end }}\n",
        ),
    ],
    ids=["scalar", "block", "flow", "line", "before-the-comment", "after"],
)
def test_an_edit_changes_its_place_only(edit: Edit, original: str, replacement: str) -> None:
    assert MANIFEST.count(original) == 1
    assert apply(MANIFEST, (edit,)) == MANIFEST.replace(original, replacement)


def test_edits_of_one_manifest_do_not_move_one_another() -> None:
    edits = (
        scalar(("spec", "containers", 0, "name"), ".Values.name"),
        line(("spec",), "metadata: {}"),
        scalar(("kind",), ".Values.kind"),
    )
    assert apply(MANIFEST, edits) == (
        MANIFEST.replace("kind: Deployment", "kind: {{ .Values.kind }}")
        .replace("spec:", "metadata: {}\nspec:")
        .replace("name: api", "name: {{ .Values.name }}")
    )


@pytest.mark.parametrize(
    "path", [("spec", "replica"), ("spec", "containers", 1), ("kind", "name"), ("spec", 0)]
)
def test_a_path_that_the_manifest_has_not_is_an_error(path: tuple[str | int, ...]) -> None:
    with pytest.raises(ValueError, match=f"no {path[-1]!r} of {'.'.join(map(str, path))}"):
        apply(MANIFEST, (scalar(path, "."),))
