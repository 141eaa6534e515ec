"""nginx with Lua: reads the subject out of the JWT, verifies nothing, looks the token up in shared memory.

Lua has no RS256 without further libraries; this is what the nearest hand-written injector costs at least.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from benchmarks.issuer import provider_token
from benchmarks.peers.model import Launch, Route, Scene, System, Target
from benchmarks.processes import find_program, free_port, version_of

MODULES: Final = Path("/usr/lib/nginx/modules")
LUA_MODULES: Final = ("ndk_http_module.so", "ngx_http_lua_module.so")
HEAD: Final = """\
load_module {modules}/ndk_http_module.so;
load_module {modules}/ngx_http_lua_module.so;
daemon off;
worker_processes 1;
pid {directory}/nginx.pid;
error_log stderr error;
events {{ worker_connections 8192; }}
http {{
  access_log off;
  client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
  keepalive_requests 1000000000;
  client_max_body_size 0;
  lua_shared_dict tokens 64m;
  init_by_lua_block {{
    local json = io.open("{tokens}"):read("*a")
    for user, token in json:gmatch('"([^"]+)": "([^"]+)"') do ngx.shared.tokens:set(user, token) end
  }}
"""
SECTION: Final = """
  upstream {route} {{ server 127.0.0.1:{upstream}; keepalive 1024; keepalive_requests 1000000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      access_by_lua_block {{
        local payload = (ngx.var.http_authorization or ""):match("^Bearer [^.]+%.([^.]+)%.")
        local claims = payload and ngx.decode_base64((payload:gsub("-", "+"):gsub("_", "/")))
        local token = claims and ngx.shared.tokens:get(claims:match('"sub": ?"([^"]+)"') or "")
        if not token then return ngx.exit(403) end
        ngx.req.set_header("Authorization", "Bearer " .. token)
      }}
      proxy_pass {scheme}://{route};
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host localhost:{upstream};
      proxy_buffering off;
      proxy_request_buffering off;
{tls}    }}
  }}
"""
TLS: Final = """\
      proxy_ssl_verify on;
      proxy_ssl_trusted_certificate {certificate};
      proxy_ssl_name localhost;
      proxy_ssl_server_name on;
      proxy_ssl_protocols TLSv1.2 TLSv1.3;
"""


def _locate() -> str:
    """Return nginx, where its Lua module is there, too."""
    has_lua = all((MODULES / name).exists() for name in LUA_MODULES)
    return find_program("nginx") if has_lua else ""


def _prepare(scene: Scene, directory: Path, program: str) -> Launch:
    tokens = directory / "tokens.json"
    tokens.write_text(json.dumps({user: provider_token(user) for user in scene.users}))
    origin = scene.origin
    upstreams = {Route.PLAIN: origin.plain, Route.TLS: origin.tls, Route.BULK: origin.bulk}
    targets = {route: Target(port=free_port()) for route in Route}
    sections = [
        SECTION.format(
            route=route,
            port=targets[route].port,
            upstream=upstreams[route],
            scheme="https" if route is Route.TLS else "http",
            tls=TLS.format(certificate=origin.certificate) if route is Route.TLS else "",
        )
        for route in Route
    ]
    configuration = directory / "nginx.conf"
    head = HEAD.format(modules=MODULES, directory=directory, tokens=tokens)
    configuration.write_text(head + "".join(sections) + "}\n")
    return Launch(command=(program, "-p", str(directory), "-c", str(configuration)), targets=targets)


NGINX: Final = System(
    name="nginx+lua",
    does="verifies nothing; reads the subject, shared memory from subject to token",
    injects_per_user=True,
    install="apt-get install nginx libnginx-mod-http-lua",
    locate=_locate,
    version=lambda program: version_of(program, "-v"),
    prepare=_prepare,
)
