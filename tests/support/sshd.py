"""A real OpenSSH server on loopback: its own port, keys and configuration, for one test."""

from __future__ import annotations

import getpass
import os
import shlex
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
SEPARATION = Path("/run/sshd")
SSH_TOOLS = ("ssh", "ssh-keygen")


@dataclass(frozen=True)
class Server:
    port: int
    config: Path
    """Of the client: `ssh -F config loopback COMMAND` logs in."""

    def login(self, command: str, *options: str) -> list[str]:
        """The command line of an interactive login that runs `command` in a terminal."""
        return ["ssh", "-F", str(self.config), *options, "-tt", "loopback", command]


@contextmanager
def start_server(folder: Path, env: Mapping[str, str], key_options: str = "") -> Iterator[Server]:
    """Whoever logs in gets `env`, except TERM, which is the client's, and may do what the key's options leave. Skips
    the test where there is no OpenSSH."""
    if SSHD is None or not all(map(shutil.which, SSH_TOOLS)):
        pytest.skip("needs an OpenSSH server and client (sshd, ssh, ssh-keygen)")
    with _separation_folder():
        yield from _running_server(folder / "ssh", env, key_options)


@contextmanager
def _separation_folder() -> Iterator[None]:
    """The empty folder that sshd wants when it is started by root; the system makes it when it starts its own."""
    made = os.geteuid() == 0 and not SEPARATION.exists()
    if made:
        SEPARATION.mkdir(mode=0o755)
    try:
        yield
    finally:
        if made:
            SEPARATION.rmdir()


def _running_server(ssh: Path, env: Mapping[str, str], key_options: str) -> Iterator[Server]:
    assert SSHD is not None
    ssh.mkdir(mode=0o700)
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(ssh / name)], check=True)
    (ssh / "authorized").write_text(f"{key_options} {(ssh / 'user.pub').read_text()}".lstrip())
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (ssh / "sshd_config").write_text(_server_config(ssh, port, env))
    (ssh / "known").write_text(f"[127.0.0.1]:{port} {(ssh / 'host.pub').read_text()}")
    (ssh / "config").write_text(_client_config(ssh, port))
    with subprocess.Popen(
        [SSHD, "-D", "-e", "-f", str(ssh / "sshd_config")], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        try:
            _wait_for(port, process)
            yield Server(port, ssh / "config")
        finally:
            process.terminate()
            process.communicate()


def _server_config(ssh: Path, port: int, env: Mapping[str, str]) -> str:
    variables = " ".join(f"{name}={shlex.quote(value)}" for name, value in env.items() if name != "TERM")
    lines = [
        f"Port {port}",
        "ListenAddress 127.0.0.1",
        f"HostKey {ssh / 'host'}",
        f"AuthorizedKeysFile {ssh / 'authorized'}",
        f"PidFile {ssh / 'pid'}",
        "PermitRootLogin prohibit-password",
        "PasswordAuthentication no",
        "KbdInteractiveAuthentication no",
        "StrictModes no",
        "UsePAM no",
        "Subsystem sftp internal-sftp",
        f"SetEnv {variables}",
    ]
    return "\n".join(lines) + "\n"


def _client_config(ssh: Path, port: int) -> str:
    lines = [
        "Host loopback",
        "HostName 127.0.0.1",
        f"Port {port}",
        f"User {getpass.getuser()}",
        f"IdentityFile {ssh / 'user'}",
        "IdentitiesOnly yes",
        f"UserKnownHostsFile {ssh / 'known'}",
        "BatchMode yes",
    ]
    return "\n".join(lines) + "\n"


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        if process.poll() is not None:
            assert process.stderr is not None
            pytest.skip(f"sshd does not run here: {process.stderr.read().decode().strip()}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    pytest.fail("sshd does not listen after five seconds")
