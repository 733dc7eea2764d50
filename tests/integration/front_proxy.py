"""A proxy in front of several replicas: each request goes to the next one, as with an ingress.

It refuses a response whose head is larger than nginx takes by default.
https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_buffer_size
"""

import http.client
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MAX_HEAD_BYTES = 4 * 1024
_OF_A_CONNECTION = frozenset({"connection", "keep-alive", "transfer-encoding"})


class FrontProxy(ThreadingHTTPServer):
    """Knows the replicas' ports; tests change them."""

    daemon_threads = True
    ports: tuple[int, ...] = ()
    turns = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def next_port(self) -> int:
        self.turns += 1
        return self.ports[self.turns % len(self.ports)]


class _Handler(BaseHTTPRequestHandler):
    server: FrontProxy
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        with closing(self._connect()) as connection:
            headers = {name: value for name, value in self.headers.items() if name != "Connection"}
            connection.request(self.command, self.path, body or None, headers)
            with connection.getresponse() as response:
                self._pass_on(response)

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815  (named by http.server)

    def _connect(self) -> http.client.HTTPConnection:
        """Connect to the next replica, or to the one after it if that one does not listen."""
        for _ in self.server.ports:
            connection = http.client.HTTPConnection("127.0.0.1", self.server.next_port())
            with suppress(ConnectionRefusedError):
                connection.connect()
                return connection
        raise ConnectionRefusedError("no replica listens")

    def _pass_on(self, response: http.client.HTTPResponse) -> None:
        head = sum(len(name) + len(value) + 4 for name, value in response.getheaders())
        self.send_response_only(502 if head > MAX_HEAD_BYTES else response.status)
        for name, value in response.getheaders() if head <= MAX_HEAD_BYTES else ():
            if name.lower() not in _OF_A_CONNECTION:
                self.send_header(name, value)
        self.send_header("Connection", "close")
        with suppress(OSError, http.client.HTTPException):  # either side has left
            self.end_headers()
            while piece := response.read1():
                self.wfile.write(piece)

    def log_message(self, *_: object) -> None:
        """Its log would be in the way of the tests' own."""


@contextmanager
def serving() -> Iterator[FrontProxy]:
    with FrontProxy(("127.0.0.1", 0), _Handler) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, daemon=True)
        thread.start()
        try:
            yield proxy
        finally:
            proxy.shutdown()
            thread.join()
