"""A real S3-protocol server on loopback (moto's), that tests can hold up in the middle of a request, or take away."""

import logging
import threading
from collections.abc import Callable, Iterable
from typing import Any

from moto.server import DomainDispatcherApplication, create_backend_app
from pyarrow import fs
from werkzeug.serving import make_server

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1"}


class ObjectStore:
    """The server, with one bucket: "shards"."""

    def __init__(self) -> None:
        self.requests: list[str] = []  # "PUT /bucket/key?query" of each
        self.stalled, self._stall_at, self._go_on = threading.Event(), "", threading.Event()
        self._close_at = ""
        self._moto = DomainDispatcherApplication(create_backend_app)
        logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.endpoint = f"127.0.0.1:{self._server.server_port}"
        self.environment = {**CREDENTIALS, "AWS_ENDPOINT_URL": f"http://{self.endpoint}"}
        self.options = f"endpoint_override={self.endpoint}&scheme=http"
        self.files = fs.S3FileSystem(
            access_key="test", secret_key="test", endpoint_override=self.endpoint, scheme="http", allow_bucket_creation=True
        )
        self.files.create_dir("shards")

    def _answer(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        request = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}?{environ['QUERY_STRING']}"
        self.requests.append(request)
        if self._stall_at and self._stall_at in request:
            self.stalled.set()
            self._go_on.wait()
        if self._close_at and self._close_at in request:
            self._server.server_close()  # the listening socket
            raise ConnectionAbortedError
        answer: Iterable[bytes] = self._moto(environ, start_response)
        return answer

    def stall(self, part: str) -> None:
        """Hold up every request from now on that holds `part`."""
        self.stalled, self._go_on = threading.Event(), threading.Event()
        self._stall_at = part

    def go_on(self) -> None:
        """Hold up no request any more."""
        self._stall_at = ""
        self._go_on.set()

    def close_at(self, part: str) -> None:
        """Take the server away at the first request that holds `part`, which gets no answer."""
        self._close_at = part

    def names(self, folder: str) -> list[str]:
        """The objects below a folder, as paths below it; markers of empty folders left out."""
        infos = self.files.get_file_info(fs.FileSelector(folder, recursive=True, allow_not_found=True))
        return sorted(info.path.removeprefix(folder + "/") for info in infos if info.type == fs.FileType.File)

    def close(self) -> None:
        """Take the server away: whoever asks it finds nobody."""
        self.go_on()
        self._server.shutdown()
        self._server.server_close()
