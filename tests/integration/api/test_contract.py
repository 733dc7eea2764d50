"""The running API answers as its OpenAPI document says, to good requests and bad ones."""

import subprocess
from pathlib import Path

from tests.integration.api.served import Person, Served

_CONFIGURATION = Path(__file__).parent / "schemathesis.toml"


def test_generated_requests_get_documented_answers_and_never_an_error_of_ours(
    api: Served, boss: Person, tmp_path: Path
) -> None:
    ran = subprocess.run(
        [
            "schemathesis",
            f"--config-file={_CONFIGURATION}",
            "run",
            f"{api.url}/openapi.json",
            f"--header=Authorization: Bearer {boss.token}",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-20_000:]
    assert "Stateful" in ran.stdout


def test_every_operation_documents_its_errors_as_problems(api: Served) -> None:
    with api.client() as client:
        document = client.get("/openapi.json").json()
    operations = [
        operation
        for path, methods in document["paths"].items()
        for operation in methods.values()
        if path.startswith("/api/")
    ]
    assert len(operations) > 15
    for operation in operations:
        assert operation["summary"]
        assert {"401", "403", "422", "429", "500", "503"} <= set(operation["responses"])
        for status, answer in operation["responses"].items():
            if status >= "400":
                assert "application/problem+json" in answer["content"]
