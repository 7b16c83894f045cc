"""The server of the page: on this machine alone, and only for who has the token.

Other pages in the same browser can send requests to any port of this machine. So each request has to name this machine
as its host (which a name that an attacker points at 127.0.0.1 does not), may not come from another origin, and has to
bring the token: in the address when the page is opened, then in a cookie that no other site's requests carry.
"""

import hmac
import json
import re
import secrets
import socketserver
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
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
        self.most_bytes = 65_536 + BYTES_PER_PIXEL * max(r.height * r.width for r in session.run.images)

    def server_bind(self) -> None:
        """Bind without asking for the machine's name, which can take seconds."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, self.server_address[1]

    def knows(self, token: str) -> bool:
        """Whether this is the token."""
        return hmac.compare_digest(token.encode(), self.token.encode())


@contextmanager
def listening(session: Session, port: int) -> Iterator[Server]:
    """A server on a port, 0 for any free one; IrnError for one that is taken."""
    try:
        server = Server(session, port)
    except OSError as error:
        raise IrnError(
            f"port {port}: cannot be listened on ({error.strerror}); name another by --port, or 0 for any free one"
        ) from None
    with server:
        yield server


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
        except (IrnError, OSError) as error:
            if isinstance(error, ConnectionError | TimeoutError):
                self.close_connection = True
                return
            self._refuse(HTTPStatus.UNPROCESSABLE_ENTITY, " ".join(str(error).split()))

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
            self._send_json(session.overview())
        elif address.path == "/favicon.ico":
            self._send(b"", "image/x-icon", HTTPStatus.NO_CONTENT)
        else:
            what, index = self._image(address.path)
            if what == "photographs":
                self._send(session.photograph(index), "image/jpeg")
            elif what == "labels":
                self._send_json(session.label(index, _thresholds(address.query)))
            else:
                raise Refusal(HTTPStatus.NOT_FOUND, "no such page")

    def _post(self) -> None:
        (what, index), session = self._image(urlsplit(self.path).path), self.server.session
        label = self._body()
        if what == "decisions":
            self._send_json(session.decide(index, label))
        elif what == "begun":
            self._send_json(session.begin(index, label))
        else:
            raise Refusal(HTTPStatus.NOT_FOUND, "no such page")

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
    try:
        cookies = SimpleCookie(headers.get("Cookie", ""))
    except CookieError:
        return ""
    return cookies[name].value if name in cookies else ""


def _thresholds(query: str) -> tuple[float, float] | None:
    """The semantic and the instance threshold in an address, if there are any."""
    values = parse_qs(query)
    if not values:
        return None
    try:
        return float(values["semantic"][0]), float(values["instance"][0])
    except (KeyError, ValueError):
        raise Refusal(HTTPStatus.BAD_REQUEST, "expected two thresholds, semantic and instance") from None
