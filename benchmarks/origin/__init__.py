"""The provider behind every system, and the key set of the issuer.

It must never be what limits a rate, so its own rate is measured and printed. Small answers come from nginx
where it is installed, because one core has to hold it and the load generator; large bodies go straight from
and to the kernel.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from benchmarks.certificate import Certificate, make_certificate
from benchmarks.processes import Program, find_program, free_port
from benchmarks.settings import ROOT

if TYPE_CHECKING:
    from contextlib import ExitStack
    from pathlib import Path

    from benchmarks.issuer import Issuer

SMALL_BODY: Final = json.dumps(
    {
        "kind": "calendar#event",
        "id": "5qa0d2bq7bq2o0v6l0",
        "status": "confirmed",
        "summary": "Weekly planning",
        "start": {"dateTime": "2026-11-02T09:00:00+01:00"},
        "end": {"dateTime": "2026-11-02T09:30:00+01:00"},
    }
)
NGINX: Final = """\
daemon off;
worker_processes 1;
pid {directory}/origin.pid;
error_log stderr error;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  client_body_temp_path {directory}/origin-body;
  proxy_temp_path {directory}/origin-proxy;
  fastcgi_temp_path {directory}/origin-fastcgi;
  uwsgi_temp_path {directory}/origin-uwsgi;
  scgi_temp_path {directory}/origin-scgi;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  server {{
    listen 127.0.0.1:{plain} backlog=4096;
    listen 127.0.0.1:{tls} ssl backlog=4096;
    ssl_certificate {certificate};
    ssl_certificate_key {key};
    location = /small {{ default_type application/json; return 200 '{body}'; }}
    location = /echo {{ default_type text/plain; return 200 "$http_authorization"; }}
  }}
}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where the provider listens: small answers, the same over TLS, large bodies with the key set."""

    plain: int
    tls: int
    bulk: int
    certificate: Path
    server: str


def start_origin(stack: ExitStack, directory: Path, issuer: Issuer) -> Origin:
    """Start the provider; it ends with `stack`."""
    files = make_certificate(directory)
    nginx = find_program("nginx")
    origin = Origin(
        plain=free_port(),
        tls=free_port(),
        bulk=free_port(),
        certificate=files.certificate,
        server="nginx" if nginx else "a Python server (install nginx for the real thing)",
    )
    key_set = directory / "jwks.json"
    key_set.write_text(json.dumps(issuer.key_set()))
    for name, command in (
        ("bulk", [sys.executable, "-m", "benchmarks.origin.bulk", str(origin.bulk), str(key_set)]),
        ("small", _nginx(nginx, directory, origin, files) if nginx else _python(directory, origin, files)),
    ):
        program = Program(command, log=directory / f"origin-{name}.log", cwd=ROOT)
        stack.callback(program.stop)
        program.wait_for_ports([origin.bulk] if name == "bulk" else [origin.plain, origin.tls])
    return origin


def _nginx(nginx: str, directory: Path, origin: Origin, files: Certificate) -> list[str]:
    configuration = directory / "origin.conf"
    configuration.write_text(
        NGINX.format(
            directory=directory,
            plain=origin.plain,
            tls=origin.tls,
            certificate=files.certificate,
            key=files.key,
            body=SMALL_BODY,
        )
    )
    return [nginx, "-p", str(directory), "-c", str(configuration)]


def _python(directory: Path, origin: Origin, files: Certificate) -> list[str]:
    body = directory / "small.json"
    body.write_text(SMALL_BODY)
    ports = [str(origin.plain), str(origin.tls)]
    return [
        sys.executable,
        "-m",
        "benchmarks.origin.small",
        *ports,
        str(files.certificate),
        str(files.key),
        str(body),
    ]
