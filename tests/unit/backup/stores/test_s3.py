"""The client of S3, where a server is busy or answers what it should not."""

from collections.abc import Callable

import httpx2
import pytest
from httpx2 import Client, MockTransport, Request, Response

from aichat_workspace.backup.errors import StoreError, StoreRefusedError, StoreUnreachableError
from aichat_workspace.backup.stores.s3 import S3Store
from tests.contracts.stores import read, write

STARTED = b"<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>"
EMPTY = b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"
FAILED = b"<Error><Code>InternalError</Code><Message>try again</Message></Error>"


def store(answer: Callable[[Request], Response], pauses: list[float] | None = None) -> S3Store:
    client = Client(base_url="https://s3.example.org", transport=MockTransport(answer))
    return S3Store(client, "bucket", "", pause=(pauses if pauses is not None else []).append)


def upload(request: Request) -> Response:
    """The answers of a server where all goes well."""
    query = str(request.url.query.decode())
    if request.method == "POST" and query.startswith("uploads"):
        return Response(200, content=STARTED)
    return Response(200, content=b"<CompleteMultipartUploadResult/>", headers={"ETag": '"e"'})


@pytest.mark.parametrize("status", [500, 503])
def test_a_busy_server_is_asked_again(status: int) -> None:
    pauses: list[float] = []
    answers = [Response(status), Response(status), Response(200, content=EMPTY)]
    assert store(lambda _: answers.pop(0), pauses).objects() == ()
    assert pauses == [1.0, 5.0]


def test_a_server_that_stays_busy_is_an_error() -> None:
    pauses: list[float] = []
    with pytest.raises(
        StoreError, match="can't list backups in bucket 'bucket': InternalError try"
    ):
        store(lambda _: Response(500, content=FAILED), pauses).objects()
    assert pauses == [1.0, 5.0, 25.0]


def test_a_connection_that_breaks_is_made_again() -> None:
    requests: list[Request] = []

    def answer(request: Request) -> Response:
        requests.append(request)
        if len(requests) == 1:
            raise httpx2.ReadError("reset")
        return Response(200, content=EMPTY)

    assert store(answer).objects() == ()


def test_a_server_that_can_not_be_reached_is_an_error_with_its_fix() -> None:
    def answer(_: Request) -> Response:
        raise httpx2.ConnectError("no route")

    expected = "no route; see that AWS_ENDPOINT_URL_S3, its cert"
    with pytest.raises(StoreUnreachableError, match=expected):
        store(answer).objects()


def test_an_upload_that_fails_at_its_end_with_status_200_is_aborted() -> None:
    requests: list[str] = []

    def answer(request: Request) -> Response:
        requests.append(f"{request.method} {request.url.query.decode()}")
        if request.method == "POST" and "uploadId" in requests[-1]:
            return Response(200, content=FAILED)
        return upload(request)

    with pytest.raises(StoreError, match="InternalError"):
        write(store(answer), "a")
    assert requests == [
        "POST uploads=",
        "PUT partNumber=1&uploadId=1",
        "POST uploadId=1",
        "DELETE uploadId=1",
    ]


def test_what_is_no_s3_server_is_named() -> None:
    with pytest.raises(StoreError, match="does not answer as S3 does"):
        store(lambda _: Response(200, content=b"<html>")).objects()


REDIRECT = b"<Error><Code>PermanentRedirect</Code><Message>use another</Message></Error>"
ELSEWHERE = "the bucket is elsewhere: correct AWS_ENDPOINT_URL_S3 and AWS_REGION"


@pytest.mark.parametrize("status", [301, 302, 307])
@pytest.mark.parametrize(
    "act",
    [
        S3Store.objects,
        lambda bucket: bucket.delete("a"),
        lambda bucket: read(bucket, "a"),
        lambda bucket: write(bucket, "a"),
    ],
    ids=["list", "delete", "read", "write"],
)
def test_a_redirect_is_an_error_that_names_endpoint_and_region(
    status: int, act: Callable[[S3Store], object]
) -> None:
    with pytest.raises(StoreError, match=ELSEWHERE):
        act(store(lambda _: Response(status, content=REDIRECT)))


def test_a_redirect_of_a_part_is_an_error_that_names_endpoint_and_region() -> None:
    def answer(request: Request) -> Response:
        return Response(307) if request.method == "PUT" else upload(request)

    with pytest.raises(StoreError, match=ELSEWHERE):
        write(store(answer), "a")


def test_a_signature_for_another_region_is_an_error_that_names_it() -> None:
    refusal = b"<Error><Code>AuthorizationHeaderMalformed</Code><Message>no</Message></Error>"
    with pytest.raises(StoreError, match=ELSEWHERE):
        store(lambda _: Response(400, content=refusal)).objects()


def test_a_server_that_takes_a_part_without_a_tag_is_none_of_s3() -> None:
    def answer(request: Request) -> Response:
        return Response(200) if request.method == "PUT" else upload(request)

    with pytest.raises(StoreError, match="does not answer as S3 does; correct AWS_ENDPOINT_URL"):
        write(store(answer), "a")


def test_a_refused_read_is_an_error_with_its_fix() -> None:
    refusal = b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>"
    expected = "AccessDenied no; let AWS_ACCESS_KEY_ID list, read"
    with pytest.raises(StoreRefusedError, match=expected):
        read(store(lambda _: Response(403, content=refusal)), "a")


def test_a_bucket_that_is_not_there_is_no_refusal() -> None:
    missing = b"<Error><Code>NoSuchBucket</Code><Message>no</Message></Error>"
    with pytest.raises(StoreError, match="make the bucket") as error:
        store(lambda _: Response(404, content=missing)).objects()
    assert error.value.code == "store-failed"
