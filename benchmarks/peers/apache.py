"""Apache: mod_auth_openidc as a resource server, which verifies every JWT; one token for everybody."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from benchmarks.issuer import AUDIENCE, ISSUER, provider_token
from benchmarks.peers.model import Launch, Route, Scene, System, Target
from benchmarks.processes import find_program, free_port, version_of

MODULES: Final = Path("/usr/lib/apache2/modules")
LOADED: Final = (
    "mpm_event",
    "authn_core",
    "authz_core",
    "authz_user",
    "headers",
    "proxy",
    "proxy_http",
    "ssl",
    "socache_shmcb",
    "auth_openidc",
)
# One process, and a thread for each of the thousand streams that the memory case opens.
HEAD: Final = """\
{modules}
ServerRoot {directory}
ServerName localhost
PidFile {directory}/apache.pid
DefaultRuntimeDir {directory}
ErrorLog /dev/stderr
LogLevel crit
ServerLimit 1
StartServers 1
ThreadLimit 1200
ThreadsPerChild 1200
MaxRequestWorkers 1200
ListenBackLog 4096
KeepAlive On
MaxKeepAliveRequests 0
KeepAliveTimeout 60
OIDCOAuthVerifyCertFiles RS256#{key}
OIDCOAuthRemoteUserClaim sub
OIDCCryptoPassphrase {passphrase}
"""
SECTION: Final = """
Listen 127.0.0.1:{port}
<VirtualHost 127.0.0.1:{port}>
{tls}  ProxyPass / {base}/ keepalive=On max=1200
  ProxyPreserveHost Off
  ProxyVia Off
  <Location />
    AuthType oauth20
    <RequireAll>
      Require claim iss:{issuer}
      Require claim aud:{audience}
    </RequireAll>
    RequestHeader set Authorization "Bearer {token}"
  </Location>
</VirtualHost>
"""
TLS: Final = """\
  SSLProxyEngine On
  SSLProxyVerify require
  SSLProxyCACertificateFile {certificate}
  SSLProxyCheckPeerName On
"""


def _locate() -> str:
    """Return Apache, where all its modules are there, too."""
    has_modules = all((MODULES / f"mod_{name}.so").exists() for name in LOADED)
    return find_program("apache2") if has_modules else ""


def _prepare(scene: Scene, directory: Path, program: str) -> Launch:
    key = directory / "issuer.pem"
    key.write_bytes(scene.issuer.public_pem)
    origin = scene.origin
    bases = {
        Route.PLAIN: f"http://127.0.0.1:{origin.plain}",
        Route.TLS: f"https://localhost:{origin.tls}",
        Route.BULK: f"http://127.0.0.1:{origin.bulk}",
    }
    targets = {route: Target(port=free_port()) for route in Route}
    token = provider_token(scene.users[0])
    modules = "\n".join(f"LoadModule {name}_module {MODULES}/mod_{name}.so" for name in LOADED)
    head = HEAD.format(modules=modules, directory=directory, key=key, passphrase=token)
    sections = [
        SECTION.format(
            port=targets[route].port,
            base=base,
            issuer=ISSUER,
            audience=AUDIENCE,
            token=token,
            tls=TLS.format(certificate=origin.certificate) if route is Route.TLS else "",
        )
        for route, base in bases.items()
    ]
    configuration = directory / "apache.conf"
    configuration.write_text(head + "".join(sections))
    return Launch(command=(program, "-DFOREGROUND", "-f", str(configuration)), targets=targets)


APACHE: Final = System(
    name="apache",
    does="verifies every JWT anew (mod_auth_openidc), one fixed token for everybody; no records",
    verifies=True,
    install="apt-get install apache2 libapache2-mod-auth-openidc",
    locate=_locate,
    version=lambda program: version_of(program, "-v"),
    prepare=_prepare,
)
