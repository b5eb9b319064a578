"""A loopback server that answers as the Hugging Face hub does for the requests of snapshot_download."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

COMMIT = "1234567890abcdef1234567890abcdef12345678"


class Hub(ThreadingHTTPServer):
    """Serves one repository, `name`, from a folder. With `stall` set, the weights stop after half of their bytes."""

    daemon_threads = True

    def __init__(self, name: str, folder: Path, **config: Any) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.name, self.folder, self.config = name, folder, {"model_type": "llama"} | config
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.stall = False
        self.halfway, self.go = threading.Event(), threading.Event()
        self.requests: list[tuple[str, str]] = []


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hub

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        self.server.requests.append((path, self.headers.get("Range", "")))
        resolve = f"/{self.server.name}/resolve/{COMMIT}/"
        if path.startswith(f"/api/models/{self.server.name}"):
            self._json(self._tree() if "/tree/" in path else self._info())
        elif path.startswith(resolve) and (file := self.server.folder / path.removeprefix(resolve)).is_file():
            self._file(file)
        else:
            self.send_response(404)
            self.send_header("X-Error-Code", "RepoNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()

    def _files(self) -> list[Path]:
        return sorted(p for p in self.server.folder.rglob("*") if p.is_file())

    def _info(self) -> dict[str, Any]:
        names = [(str(p.relative_to(self.server.folder)), p.stat().st_size) for p in self._files()]
        return {
            "id": self.server.name,
            "modelId": self.server.name,
            "sha": COMMIT,
            "private": False,
            "tags": [],
            "downloads": 0,
            "likes": 0,
            "config": self.server.config,
            "siblings": [{"rfilename": name, "size": size} for name, size in names],
        }

    def _tree(self) -> list[dict[str, Any]]:
        return [
            {"type": "file", "path": str(p.relative_to(self.server.folder)), "size": p.stat().st_size, "oid": "0" * 40}
            for p in self._files()
        ]

    def _json(self, value: Any) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def _file(self, file: Path) -> None:
        body = file.read_bytes()
        start = int(self.headers["Range"][6:].partition("-")[0]) if self.headers.get("Range") else 0
        self.send_response(206 if start else 200)
        self.send_header("ETag", f'"{hashlib.sha1(body).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Accept-Ranges", "bytes")
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        if self.command == "HEAD":
            return
        if self.server.stall and file.suffix == ".safetensors":
            self.wfile.write(body[start : len(body) // 2])
            self.wfile.flush()
            self.server.halfway.set()
            self.server.go.wait(60)
            self.close_connection = True
            return
        self.wfile.write(body[start:])

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    thread = threading.Thread(target=hub.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.go.set()
        hub.shutdown()
        thread.join()
        hub.server_close()
