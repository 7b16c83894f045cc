"""The server of the page: on this machine alone, and only for who has the token.

Other pages in the same browser can send requests to any port of this machine. So each request has to name this machine
as its host (which a name that an attacker points at 127.0.0.1 does not), may not come from another origin, and has to
bring the token: in the address when the page is opened, then in a cookie that no other site's requests carry.

A page may stay open while this server ends and another starts, or while a second page changes an image. So it gets a
stamp with each image, and what it writes has to bring the stamp that the image has at that time.
"""

import hmac
import json
import re
import secrets
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from typing import Any
from urllib.parse import parse_qs, urlsplit

from irn.errors import IrnError
from irn.review.session import Session

HOST = "127.0.0.1"
PAGE = {
    "/": ("review.html", "text/html; charset=utf-8"),
    "/review.css": ("review.css", "text/css; charset=utf-8"),
    "/review.js": ("review.js", "text/javascript; charset=utf-8"),
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
EARLIER = "this page is of an earlier review. Reload it."
CHANGED = "the image has been changed in another tab or window; look at it again"
BYTES_PER_PIXEL = 8  # of run lengths as text; noise alone has more


class Refusal(Exception):
    """A request that is not answered."""

    def __init__(self, status: HTTPStatus, words: str) -> None:
        super().__init__(words)
        self.status = status


class Server(ThreadingHTTPServer):
    """Serves a session. `address` is what to open, with the token."""

    daemon_threads = True

    def __init__(self, session: Session, port: int) -> None:
        self.session, self.token = session, secrets.token_urlsafe(32)
        super().__init__((HOST, port), Handler)
        self.address = f"http://{HOST}:{self.server_port}/?token={self.token}"
        # Cookies are shared by all ports of a machine.
        self.cookie = f"irn_review_{self.server_port}"
        self.images = len(session.run.images)
        self.review, self.versions = secrets.token_urlsafe(8), [0] * self.images
        self.writing = threading.Lock()
        self.most_bytes = 65_536 + BYTES_PER_PIXEL * max(r.height * r.width for r in session.run.images)

    def server_bind(self) -> None:
        """Bind without asking for the machine's name, which can take seconds."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, self.server_address[1]

    def stamp(self, index: int) -> dict[str, Any]:
        """Which image of which review this is, and how often it has been written."""
        image_id = self.session.run.images[index].image_id
        return {"review": self.review, "image_id": image_id, "version": self.versions[index]}

    def knows(self, token: str) -> bool:
        """Whether this is the token."""
        return hmac.compare_digest(token.encode(), self.token.encode())


@contextmanager
def listening(session: Session, port: int) -> Iterator[Server]:
    """A server on a port, 0 for any free one; IrnError for one that is taken.

    What it is writing when the block ends is written to its end, and nothing after that.
    """
    try:
        server = Server(session, port)
    except OSError as error:
        raise IrnError(
            f"port {port}: cannot be listened on ({error.strerror}); name another by --port, or 0 for any free one"
        ) from None
    with server:
        try:
            yield server
        finally:
            server.writing.acquire()


class Handler(BaseHTTPRequestHandler):
    """Answers one connection."""

    server: Server
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "irn", ""
    timeout = 60  # seconds in which a request has to arrive

    def do_GET(self) -> None:
        """The page, the overview, a photograph or a label."""
        self._answer(self._get)

    def do_POST(self) -> None:
        """A decision, or edits to keep."""
        self._answer(self._post)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the address in the log would have the token."""

    def _answer(self, respond: Any) -> None:
        try:
            self._check()
            respond()
        except Refusal as refusal:
            self._refuse(refusal.status, str(refusal))
        except (ConnectionError, TimeoutError):
            self.close_connection = True
        except IrnError as error:
            self._refuse(HTTPStatus.UNPROCESSABLE_ENTITY, " ".join(str(error).split()))
        except OSError as error:  # such as a full disk, which may pass
            self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, " ".join(str(error).split()))

    def _refuse(self, status: HTTPStatus, words: str) -> None:
        # What is left of the request is not read.
        self.close_connection = True
        self._send(json.dumps({"error": words}).encode(), "application/json", status)

    def _check(self) -> None:
        """Refuse requests of other origins, and those without the token."""
        host = self.headers.get("Host", "")
        # Another port is that of ssh, which forwards it.
        if not re.fullmatch(r"(127\.0\.0\.1|localhost|\[::1\])(:\d{1,5})?", host):
            raise Refusal(HTTPStatus.FORBIDDEN, "not for this host")
        if self.headers.get("Origin", f"http://{host}") != f"http://{host}":
            raise Refusal(HTTPStatus.FORBIDDEN, "not for other origins")
        address = urlsplit(self.path)
        given = parse_qs(address.query).get("token", [""])[0]
        if address.path == "/" and self.command == "GET" and given:
            if not self.server.knows(given):
                raise Refusal(HTTPStatus.FORBIDDEN, "wrong token; open the address that irn review printed")
            return
        if self.headers.get("Sec-Fetch-Site", "none") not in ("same-origin", "none"):
            raise Refusal(HTTPStatus.FORBIDDEN, "not for other sites")
        if not self.server.knows(_cookie(self.headers, self.server.cookie)):
            raise Refusal(HTTPStatus.FORBIDDEN, "no token; open the address that irn review printed last")

    def _get(self) -> None:
        address, session = urlsplit(self.path), self.server.session
        if address.path in PAGE:
            name, kind = PAGE[address.path]
            self._send(resources.files("irn.review").joinpath("page", name).read_bytes(), kind)
        elif address.path == "/overview":
            self._send_json(self._overview())
        elif address.path == "/favicon.ico":
            self._send(b"", "image/x-icon", HTTPStatus.NO_CONTENT)
        else:
            what, index = self._image(address.path)
            if what == "photographs":
                self._send(session.photograph(index), "image/jpeg")
            elif what == "labels":
                # The stamp first: what is written in between is then refused, not overwritten.
                stamp = self.server.stamp(index)
                self._send_json({"stamp": stamp, **session.label(index, _thresholds(address.query))})
            else:
                raise Refusal(HTTPStatus.NOT_FOUND, "no such page")

    def _overview(self) -> dict[str, Any]:
        stamps = [self.server.stamp(index) for index in range(self.server.images)]
        overview = self.server.session.overview()
        images = [{"stamp": stamp, **image} for stamp, image in zip(stamps, overview["images"], strict=True)]
        return overview | {"images": images}

    def _post(self) -> None:
        (what, index), server = self._image(urlsplit(self.path).path), self.server
        if what not in ("decisions", "begun"):
            raise Refusal(HTTPStatus.NOT_FOUND, "no such page")
        write, label = (server.session.decide if what == "decisions" else server.session.begin), self._body()
        with server.writing:
            self._check_stamp(label.pop("stamp", None), server.stamp(index))
            answer = write(index, label)
            server.versions[index] += 1
            stamp = server.stamp(index)
        self._send_json({"stamp": stamp, **answer})

    def _check_stamp(self, stamp: Any, expected: dict[str, Any]) -> None:
        """Refuse what a page writes that does not have the image as it is now."""
        if not isinstance(stamp, dict) or any(stamp.get(name) != expected[name] for name in ("review", "image_id")):
            raise Refusal(HTTPStatus.CONFLICT, EARLIER)
        if stamp != expected:
            raise Refusal(HTTPStatus.CONFLICT, CHANGED)

    def _image(self, path: str) -> tuple[str, int]:
        """What is asked of an image, and its index, from a path /what/index."""
        match = re.fullmatch(r"/([a-z]+)/(\d{1,9})", path, re.ASCII)
        if match is None or int(match[2]) >= self.server.images:
            raise Refusal(HTTPStatus.NOT_FOUND, "no such page")
        return match[1], int(match[2])

    def _body(self) -> dict[str, Any]:
        """The JSON object of a request."""
        # Another type could be sent by a form of any page.
        if self.headers.get_content_type() != "application/json":
            raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "expected application/json")
        length = self.headers.get("Content-Length", "")
        if not re.fullmatch(r"\d{1,12}", length, re.ASCII):
            raise Refusal(HTTPStatus.LENGTH_REQUIRED, "expected a Content-Length")
        if int(length) > self.server.most_bytes:
            raise Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"at most {self.server.most_bytes} bytes")
        try:
            label = json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError):
            raise Refusal(HTTPStatus.BAD_REQUEST, "expected JSON") from None
        if not isinstance(label, dict):
            raise Refusal(HTTPStatus.BAD_REQUEST, "expected a JSON object")
        return label

    def _send_json(self, value: Any) -> None:
        self._send(json.dumps(value).encode(), "application/json")

    def _send(self, body: bytes, kind: str, status: HTTPStatus = HTTPStatus.OK) -> None:
        self.send_response(status)
        for name, text in {**HEADERS, "Content-Type": kind, "Content-Length": str(len(body))}.items():
            self.send_header(name, text)
        if status == HTTPStatus.OK and kind.startswith("text/html"):
            self.send_header(
                "Set-Cookie", f"{self.server.cookie}={self.server.token}; HttpOnly; SameSite=Strict; Path=/"
            )
        self.end_headers()
        self.wfile.write(body)


def _cookie(headers: Message, name: str) -> str:
    """The value of a cookie; empty without it."""
    # Not `SimpleCookie`, which stops at a cookie of another program that it cannot read.
    pairs = [pair.strip().partition("=") for pair in headers.get("Cookie", "").split(";")]
    return next((value for key, _, value in pairs if key == name), "")


def _thresholds(query: str) -> tuple[float, float] | None:
    """The semantic and the instance threshold in an address, if there are any."""
    values = parse_qs(query)
    if not values:
        return None
    try:
        return float(values["semantic"][0]), float(values["instance"][0])
    except (KeyError, ValueError):
        raise Refusal(HTTPStatus.BAD_REQUEST, "expected two thresholds, semantic and instance") from None
