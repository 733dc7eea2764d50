"""Signatures, by the examples that AWS publishes.

https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
"""

from datetime import UTC, datetime

import pytest
from httpx2 import Request

from aichat_workspace.backup.stores.sigv4 import SigV4

AUTH = SigV4(
    "AKIAIOSFODNN7EXAMPLE",
    "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "us-east-1",
    lambda: datetime(2013, 5, 24, tzinfo=UTC),
)


def signature(method: str, url: str) -> str:
    (request,) = AUTH.auth_flow(Request(method, url))
    return str(request.headers["Authorization"].rpartition("Signature=")[2])


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?lifecycle", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
        (
            "?max-keys=2&prefix=J",
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        ),
    ],
)
def test_a_signature_is_that_of_the_published_example(query: str, expected: str) -> None:
    assert signature("GET", f"https://examplebucket.s3.amazonaws.com/{query}") == expected


def test_the_order_and_the_encoding_of_a_query_do_not_matter() -> None:
    url = "https://examplebucket.s3.amazonaws.com/"
    assert signature("GET", f"{url}?prefix=a/b&max-keys=2") == signature(
        "GET", f"{url}?max-keys=2&prefix=a%2Fb"
    )


def test_no_text_of_it_has_the_secret_key() -> None:
    assert "wJalr" not in repr(AUTH)
