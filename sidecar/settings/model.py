"""Every setting of the product, with its default, its range and what it is for.

The model is closed and frozen: a misspelt key is an error and not a default that nobody asked for. It is the
source of the reference documentation and of the names that environment variables can reach.

Scope: values, each right by itself. What they must not say together is in `sidecar.settings.rules`, and
`load_settings` applies both. `app.py` turns them into the house; no other package sees them.
"""

from typing import Annotated, Final

from pydantic import Field

from sidecar.crypto.keyring import EncryptionKey
from sidecar.policies.model import Effect, Mode
from sidecar.secret import Secret
from sidecar.settings.addresses import (
    HOST,
    ORIGIN,
    PLAIN_URL,
    PROXY_ADDRESS,
    TCP_ADDRESS,
    ListenAddress,
    check_store,
)
from sidecar.settings.identity import IdentitySettings
from sidecar.settings.leaves import FLAG, KEY, SHORT_TEXT, choice, duration, secret, text
from sidecar.settings.limits import LimitSettings, RefreshSettings, ShutdownSettings
from sidecar.settings.provider import PROVIDER_NAME, ProviderSettings
from sidecar.settings.section import Section

DEFAULT_STORE: Final = "sqlite:///var/lib/sidecar/sidecar.db"
LOG_LEVELS: Final = ("debug", "info", "warning", "error")
LOG_FORMATS: Final = ("auto", "console", "json")

APP_NAME: Final = text(
    r"[a-z0-9][a-z0-9-]{0,62}", "a name of at most 63 lower-case letters, digits and hyphens"
)
SERVICE_NAME: Final = text(
    r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", "a name of at most 63 letters, digits, dots and hyphens"
)
STORE: Final = secret(
    "memory:, sqlite:///absolute/path, redis://[user:password@]host[:port][/db] or rediss://...",
    check=check_store,
)
ENCRYPTION_KEY: Final = secret(
    "<id>:<32 bytes, base64>; `sidecar keys new` makes one", check=EncryptionKey.parse
)
METHOD: Final = text(r"[A-Za-z][A-Za-z0-9-]{0,31}", "an HTTP method")
RULE_PATH: Final = text(r"/[^\x00-\x20\x7f?#*]*\*?", "a path that begins with / and has a * only at its end")


class ListenSettings(Section):
    """The three listeners and who may speak to the first."""

    proxy: Annotated[ListenAddress, PROXY_ADDRESS] = Field(
        default=ListenAddress("127.0.0.1", 4100), description="The data plane."
    )
    ops: Annotated[ListenAddress, TCP_ADDRESS] = Field(
        default=ListenAddress("127.0.0.1", 4101),
        description="Health and metrics; `0.0.0.0:4101` in a pod.",
    )
    control: Annotated[ListenAddress, TCP_ADDRESS] = Field(
        default=ListenAddress("127.0.0.1", 4102), description="The control API and the pages."
    )
    hosts: tuple[Annotated[str, HOST], ...] = Field(
        default=(), description="Further names under which callers address the sidecar, without ports."
    )
    keys: tuple[Annotated[Secret, KEY], ...] = Field(
        default=(),
        description="Keys that callers send as `Sidecar-Key`; required where `proxy` is not local.",
    )


class EncryptionSettings(Section):
    """What seals everything that is stored."""

    keys: tuple[Annotated[Secret, ENCRYPTION_KEY], ...] = Field(
        default=(),
        description="The first seals, all open. Required unless the store is `memory:`.",
    )


class LogSettings(Section):
    """What is written to standard error."""

    level: Annotated[str, choice(LOG_LEVELS)] = Field(default="info", description="The least that is logged.")
    format: Annotated[str, choice(LOG_FORMATS)] = Field(
        default="auto", description="`auto` is console on a terminal, JSON lines elsewhere."
    )
    access: Annotated[bool, FLAG] = Field(default=True, description="One record per request.")


class AdminSettings(Section):
    """Who may use `/admin/v1`."""

    keys: tuple[Annotated[Secret, KEY], ...] = Field(
        default=(), description="Keys sent as `Authorization: Bearer`; without one the API is closed."
    )
    public: Annotated[bool, FLAG] = Field(
        default=False, description="Answer `/admin/v1` under `public_url`'s host too."
    )


class ConnectSettings(Section):
    """The pages on which users give grants."""

    return_to: tuple[Annotated[str, ORIGIN], ...] = Field(
        default=(), description="Origins to which a user may be sent back after connecting an account."
    )


class ServiceSettings(Section):
    """A caller without a user: a cron job, a webhook handler."""

    keys: tuple[Annotated[Secret, KEY], ...] = Field(
        min_length=1, description="Keys that the service sends where a user would send a JWT."
    )
    providers: tuple[Annotated[str, PROVIDER_NAME], ...] = Field(
        min_length=1, description="The providers it reaches."
    )


class RuleSettings(Section):
    """One rule; what is left out matches everything."""

    groups: tuple[Annotated[str, SHORT_TEXT], ...] = Field(
        default=(), min_length=1, description="Groups of the user, one of which must match."
    )
    services: tuple[Annotated[str, SERVICE_NAME], ...] = Field(
        default=(), min_length=1, description="Services that match."
    )
    providers: tuple[Annotated[str, PROVIDER_NAME], ...] = Field(
        default=(), min_length=1, description="Providers that match."
    )
    methods: tuple[Annotated[str, METHOD], ...] = Field(
        default=(), min_length=1, description="Methods that match."
    )
    paths: tuple[Annotated[str, RULE_PATH], ...] = Field(
        default=(), min_length=1, description="Upstream paths that match; a trailing `*` is any rest."
    )
    effect: Annotated[Effect, choice(Effect)] = Field(description="What a match does; deny beats allow.")
    mode: Annotated[Mode, choice(Mode)] = Field(
        default=Mode.ENFORCE, description="`observe` counts what the rule would have done."
    )


class PolicySettings(Section):
    """Who may use which provider, and how. Without this block everything is allowed."""

    default: Annotated[Effect, choice(Effect)] = Field(
        default=Effect.DENY, description="What happens where no rule matches."
    )
    rules: tuple[RuleSettings, ...] = Field(default=(), description="The rules.")


class Settings(Section):
    """The whole configuration."""

    app: Annotated[str, APP_NAME] = Field(
        description="The program beside which this runs; it is part of every stored key."
    )
    listen: ListenSettings = Field(default=ListenSettings(), description="The listeners.")
    public_url: Annotated[str, PLAIN_URL] | None = Field(
        default=None, description="Where browsers and webhooks reach the control listener."
    )
    identity: IdentitySettings = Field(description="The identity provider.")
    store: Annotated[Secret, STORE] = Field(
        default=Secret(DEFAULT_STORE), description="Where grants are kept; a password in it stays secret."
    )
    outage_grace: Annotated[float, duration("0s", "1h")] = Field(
        default=60.0,
        description="How long memory serves while the store is out of reach, revocations unheard.",
    )
    encryption: EncryptionSettings = Field(default=EncryptionSettings(), description="Encryption at rest.")
    log: LogSettings = Field(default=LogSettings(), description="Logging.")
    admin: AdminSettings = Field(default=AdminSettings(), description="The admin API.")
    connect: ConnectSettings = Field(default=ConnectSettings(), description="Connecting accounts.")
    services: dict[Annotated[str, SERVICE_NAME], ServiceSettings] = Field(
        default_factory=dict, description="Callers without a user."
    )
    providers: dict[Annotated[str, PROVIDER_NAME], ProviderSettings] = Field(
        default_factory=dict, description="The OAuth APIs."
    )
    policies: PolicySettings | None = Field(default=None, description="Who may use which provider.")
    limits: LimitSettings = Field(default=LimitSettings(), description="Limits of requests.")
    refresh: RefreshSettings = Field(default=RefreshSettings(), description="Renewal of tokens.")
    shutdown: ShutdownSettings = Field(default=ShutdownSettings(), description="The end of the process.")

    @property
    def store_scheme(self) -> str:
        """`memory`, `sqlite`, `redis` or `rediss`."""
        return self.store.reveal().partition(":")[0]
