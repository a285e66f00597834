"""The reverse proxies of docs/reverse-proxy.md: real ones, on loopback, with TLS."""

import contextlib
import os
import shutil
import signal
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from deploy.dev import suite_programs
from tests.guides import blocks_of, substitute
from tests.integration.certificates import Authority
from tests.integration.cluster import find_free_port
from tests.machine_clock import CLOCK

PAGE = "reverse-proxy.md"
HOST = "todo.example"
# Not the address that the proxies themselves come from.
CLIENT = "127.0.0.2"
START_TIMEOUT_S = 120
_CERTIFICATE, _KEY = "/etc/ssl/todo/fullchain.pem", "/etc/ssl/todo/key.pem"
# What Debian's nginx.conf has around each site, with every path below the test's folder.
_NGINX = """
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr info;
{user}
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/site;
}}
"""
_CADDY = """
{{
	admin off
	default_bind 127.0.0.1
	https_port {port}
	auto_https disable_redirects
}}
"""


class Proxy:
    """One proxy in front of a backend."""

    def __init__(self, name: str, folder: Path, authority: Authority, backend: int) -> None:
        self.name = name
        self.folder = folder
        self.port = find_free_port()
        self.authority = authority.certificate.decode()
        certificate, key = folder / "certificate.pem", folder / "key.pem"
        authority.issue(HOST, certificate, key)
        values = {
            _CERTIFICATE: str(certificate),
            _KEY: str(key),
            "127.0.0.1:8000": f"127.0.0.1:{backend}",
        }
        program, *arguments = self._nginx(values) if name == "nginx" else self._caddy(values)
        environment = {"HOME": str(folder), "LD_LIBRARY_PATH": str(Path(program).parent)}
        with (folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [program, *arguments], env=environment, stdout=log, stderr=log, cwd=folder
            )

    def _nginx(self, values: dict[str, str]) -> list[str]:
        program = suite_programs.find_nginx()
        assert program, "no nginx here: python3 build.py test integration fetches it"
        (site,) = blocks_of(PAGE, "nginx")
        listen = {"listen 443 ": f"listen 127.0.0.1:{self.port} "}
        (self.folder / "site").write_text(substitute(site, {**values, **listen}))
        user = "user root;" if os.geteuid() == 0 else ""
        main = self.folder / "nginx.conf"
        main.write_text(_NGINX.format(folder=self.folder, user=user))
        paths = ["-p", str(self.folder), "-c", str(main)]
        return [str(program), *paths, "-e", "stderr", "-g", "daemon off;"]

    def _caddy(self, values: dict[str, str]) -> list[str]:
        program = suite_programs.find_caddy()
        assert program, "no Caddy here: python3 build.py test integration fetches it"
        (site,) = blocks_of(PAGE, "caddyfile")
        file = self.folder / "Caddyfile"
        file.write_text(_CADDY.format(port=self.port) + substitute(site, values))
        return [str(program), "run", "--config", str(file), "--adapter", "caddyfile"]

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def trust(self) -> ssl.SSLContext:
        """Return a context of its own: httpx changes it at each connection."""
        return ssl.create_default_context(cadata=self.authority)

    def client(self, token: str = "") -> httpx.Client:
        """Open a client from CLIENT, over TLS, by the name in the certificate."""
        headers = {"Host": HOST} | ({"Authorization": f"Bearer {token}"} if token else {})
        return httpx.Client(
            base_url=f"https://127.0.0.1:{self.port}",
            transport=_Named(verify=self.trust(), local_address=CLIENT),
            headers=headers,
            timeout=60,
        )

    def wait_ready(self) -> None:
        """Wait until a request gets through."""
        deadline = CLOCK.now() + START_TIMEOUT_S
        with self.client() as client:
            while True:
                with contextlib.suppress(httpx.TransportError):
                    client.get("/livez").raise_for_status()
                    return
                ended = self._process.poll()
                assert ended is None, f"{self.name} ended with {ended}: {self.log[-3000:]}"
                assert CLOCK.now() < deadline, f"no {self.name}: {self.log[-3000:]}"
                time.sleep(0.05)

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(300)
        finally:
            self._process.kill()


class _Named(httpx.HTTPTransport):
    """Connects to an address, and expects the certificate of HOST."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.extensions["sni_hostname"] = HOST
        return super().handle_request(request)


@contextlib.contextmanager
def open_proxy(name: str, folder: Path, authority: Authority, backend: int) -> Iterator[Proxy]:
    """Run a proxy for the length of the block.

    Args:
        name: `nginx` or `caddy`.
        folder: For its files; removed at the end.
        authority: Signs its certificate.
        backend: Port of the backend on 127.0.0.1.
    """
    folder.mkdir()
    proxy = Proxy(name, folder, authority, backend)
    try:
        proxy.wait_ready()
        yield proxy
    finally:
        proxy.stop()
        shutil.rmtree(folder)
