"""The chart, rendered by Helm and read by what will read it: the Kubernetes schemas and our settings."""

from __future__ import annotations

import copy
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import kubernetes_validate
import pytest
import yaml

from sidecar.crypto.keyring import EncryptionKey
from sidecar.settings.sources import load_settings
from tests import helm
from tests.helm import ChartRefusedError, Helm

if TYPE_CHECKING:
    from collections.abc import Iterator

CHART = Path(__file__).resolve().parents[2] / "deploy" / "helm" / "sidecar"
CASES = sorted(path.name.removesuffix("-values.yaml") for path in (CHART / "ci").glob("*-values.yaml"))
KUBERNETES = ["1.29", "1.33", "1.37"]
"""The oldest version with native sidecars on by default, one in the middle, the newest we have schemas of."""

pytestmark = pytest.mark.helm


@pytest.fixture(scope="module")
def engine() -> Iterator[Helm]:
    if not helm.is_installed():
        missing = f"Helm is missing; install it with: {helm.INSTALL}"
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
    engine = Helm(CHART)
    yield engine
    engine.close()


def values_of(case: str, **changes: Any) -> dict[str, Any]:
    """Return the values of a case; `a__b=1` sets b inside a, `None` takes the key out."""
    values = yaml.safe_load((CHART / "ci" / f"{case}-values.yaml").read_text())
    for path, value in changes.items():
        *parents, last = path.split("__")
        place = values
        for parent in parents:
            place = place.setdefault(parent, {})
        if value is None:
            del place[last]
        else:
            place[last] = value
    return values


def manifests(engine: Helm, values: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the rendered objects by kind; no kind occurs twice."""
    return by_kind_of(engine.render(values))


def by_kind_of(rendered: dict[str, str]) -> dict[str, dict[str, Any]]:
    texts = [text for name, text in rendered.items() if name.endswith(".yaml")]
    objects = [document for text in texts for document in yaml.safe_load_all(text) if document]
    by_kind = {document["kind"]: document for document in objects}
    assert len(by_kind) == len(objects)
    return by_kind


def pod_of(objects: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return objects["Deployment"]["spec"]["template"]["spec"]


def sidecar_of(objects: dict[str, dict[str, Any]]) -> dict[str, Any]:
    (sidecar,) = pod_of(objects)["initContainers"]
    return sidecar


def app_of(objects: dict[str, dict[str, Any]]) -> dict[str, Any]:
    (app,) = pod_of(objects)["containers"]
    return app


@pytest.mark.parametrize("case", CASES)
def test_helm_lint_finds_nothing(engine: Helm, case: str) -> None:
    assert engine.lint(values_of(case)) == []


@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize("case", CASES)
def test_every_object_fits_the_strict_schema_of_kubernetes(engine: Helm, case: str, version: str) -> None:
    for document in manifests(engine, values_of(case)).values():
        assert kubernetes_validate.validate(document, version, strict=True) == version


def test_names_that_look_like_numbers_stay_names(engine: Helm) -> None:
    values = values_of(
        "sqlite",
        secrets__name="1",
        secrets__settings={"encryption.keys": "2026"},
        store__persistence__storageClassName="3",
        serviceAccount__name="4",
        app__ports=[{"name": "1e3", "containerPort": 8080}],
    )
    objects = by_kind_of(engine.render(values, name="5", namespace="6"))

    for document in objects.values():
        assert kubernetes_validate.validate(document, KUBERNETES[-1], strict=True) == KUBERNETES[-1]


@pytest.mark.parametrize("case", CASES)
def test_the_sidecar_is_native_and_the_app_is_told_where_it_is(engine: Helm, case: str) -> None:
    objects = manifests(engine, values_of(case))

    assert sidecar_of(objects)["restartPolicy"] == "Always"
    assert {"name": "SIDECAR_URL", "value": "http://127.0.0.1:4100"} in app_of(objects)["env"]


@pytest.mark.parametrize("case", CASES)
def test_the_pod_meets_the_restricted_standard(engine: Helm, case: str) -> None:
    pod = pod_of(manifests(engine, values_of(case)))

    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
    assert {kind for volume in pod["volumes"] for kind in volume} <= {
        "name", "configMap", "secret", "emptyDir", "persistentVolumeClaim",
    }  # fmt: skip
    for container in [*pod["initContainers"], *pod["containers"]]:
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert context["runAsNonRoot"] is True
        assert context["readOnlyRootFilesystem"] is True
        assert "privileged" not in context


def test_nothing_of_the_cluster_leaks_into_the_pod(engine: Helm) -> None:
    objects = manifests(engine, values_of("sqlite"))
    pod = pod_of(objects)

    assert pod["enableServiceLinks"] is False
    assert pod["automountServiceAccountToken"] is False
    assert pod["shareProcessNamespace"] is False
    assert objects["ServiceAccount"]["automountServiceAccountToken"] is False


def test_only_the_sidecar_mounts_the_secret_the_settings_and_the_data(engine: Helm) -> None:
    objects = manifests(engine, values_of("sqlite"))
    own = {mount["name"] for mount in sidecar_of(objects)["volumeMounts"]}

    assert own == {"sidecar-config", "sidecar-secrets", "sidecar-data"}
    assert "volumeMounts" not in app_of(objects)


def a_secret_for(setting: str) -> str:
    if setting == "encryption.keys":
        return EncryptionKey.generate("2026-11").export()
    return "rediss://:canary@redis.example.com" if setting == "store" else f"{setting}-0123456789-0123456789"


@pytest.mark.parametrize("case", CASES)
def test_the_sidecar_reads_the_settings_and_the_secrets_that_the_pod_gives_it(
    engine: Helm, case: str, tmp_path: Path
) -> None:
    values = values_of(case)
    objects = manifests(engine, values)
    (tmp_path / "sidecar.yaml").write_text(objects["ConfigMap"]["data"]["sidecar.yaml"])
    for setting, key in values["secrets"]["settings"].items():
        (tmp_path / key).write_text(a_secret_for(setting))
    environment = {
        entry["name"]: entry["value"].replace("/run/secrets/sidecar", str(tmp_path))
        for entry in sidecar_of(objects)["env"]
    }

    settings = load_settings(tmp_path / "sidecar.yaml", environment)

    assert settings.app == values["config"]["app"]
    assert settings.store_scheme == ("rediss" if case == "redis" else "sqlite")
    assert len(settings.encryption.keys) == 1
    assert pod_of(objects)["terminationGracePeriodSeconds"] > settings.shutdown.drain_timeout
    for name, service in settings.services.items():
        assert len(service.keys) == 1, name


@pytest.mark.parametrize("case", CASES)
def test_every_secret_setting_is_read_from_a_mounted_file(engine: Helm, case: str) -> None:
    values = values_of(case)
    objects = manifests(engine, values)
    sidecar = sidecar_of(objects)
    environment = {entry["name"]: entry["value"] for entry in sidecar["env"]}
    (folder,) = [m["mountPath"] for m in sidecar["volumeMounts"] if m["name"] == "sidecar-secrets"]
    (secret,) = [v["secret"] for v in pod_of(objects)["volumes"] if v["name"] == "sidecar-secrets"]

    assert environment == {
        f"SIDECAR_{setting.replace('.', '__').replace('-', '_').upper()}_FILE": f"{folder}/{key}"
        for setting, key in values["secrets"]["settings"].items()
    }
    assert secret["secretName"] == values["secrets"]["name"]
    assert {item["path"] for item in secret["items"]} == set(values["secrets"]["settings"].values())


def test_probes_ask_the_ops_listener_and_nothing_else_is_open(engine: Helm) -> None:
    objects = manifests(engine, values_of("sqlite"))
    sidecar = sidecar_of(objects)
    listen = yaml.safe_load(objects["ConfigMap"]["data"]["sidecar.yaml"])["listen"]

    assert sidecar["ports"] == [{"name": "sidecar-ops", "containerPort": 4101, "protocol": "TCP"}]
    for probe, path in (
        ("startupProbe", "/startupz"),
        ("readinessProbe", "/readyz"),
        ("livenessProbe", "/livez"),
    ):
        assert sidecar[probe]["httpGet"] == {"path": path, "port": "sidecar-ops"}
    assert listen == {"proxy": "127.0.0.1:4100", "ops": "0.0.0.0:4101", "control": "127.0.0.1:4102"}
    assert [port["port"] for port in objects["Service"]["spec"]["ports"]] == [8080]


def test_sqlite_has_one_pod_at_a_time_and_a_claim_that_outlives_the_release(engine: Helm) -> None:
    objects = manifests(engine, values_of("sqlite"))

    assert objects["Deployment"]["spec"]["strategy"] == {"type": "Recreate"}
    assert objects["PersistentVolumeClaim"]["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    assert {"name": "sidecar-data", "persistentVolumeClaim": {"claimName": "notes"}} in pod_of(objects)[
        "volumes"
    ]


def test_a_claim_of_ones_own_replaces_the_chart_s(engine: Helm) -> None:
    objects = manifests(engine, values_of("sqlite", store__persistence__existingClaim="mine"))

    assert "PersistentVolumeClaim" not in objects
    assert {"name": "sidecar-data", "persistentVolumeClaim": {"claimName": "mine"}} in pod_of(objects)[
        "volumes"
    ]


def test_redis_runs_several_pods_without_a_volume(engine: Helm) -> None:
    objects = manifests(engine, values_of("redis"))

    assert objects["Deployment"]["spec"]["replicas"] == 3
    assert "strategy" not in objects["Deployment"]["spec"]
    assert "PersistentVolumeClaim" not in objects
    assert "store" not in yaml.safe_load(objects["ConfigMap"]["data"]["sidecar.yaml"])


def test_without_ports_there_is_no_service(engine: Helm) -> None:
    assert "Service" not in manifests(engine, values_of("ephemeral"))


def test_a_digest_wins_over_the_tag(engine: Helm) -> None:
    digest = "sha256:" + "ab" * 32
    values = values_of("sqlite", image={"repository": "mirror/grant-sidecar", "tag": "9", "digest": digest})

    assert sidecar_of(manifests(engine, values))["image"] == f"mirror/grant-sidecar@{digest}"


def test_changed_settings_and_only_they_replace_the_pods(engine: Helm) -> None:
    def checksum(**changes: Any) -> str:
        template = manifests(engine, values_of("sqlite", **changes))["Deployment"]["spec"]["template"]
        return template["metadata"]["annotations"]["checksum/config"]

    assert checksum() == checksum(podAnnotations={"a": "b"})
    assert checksum() != checksum(config__log={"level": "debug"})


SECRETS_IN_THE_OPEN = {
    "config.identity.client_secret": {"config__identity__client_secret": "canary"},
    "config.identity.webhook_secrets": {"config__identity__webhook_secrets": ["canary"]},
    "config.encryption.keys": {"config__encryption": {"keys": ["canary"]}},
    "config.admin.keys": {"config__admin": {"keys": ["canary"]}},
    "config.services.nightly-report.keys": {"config__services": {"nightly-report": {"keys": ["canary"]}}},
    "config.providers.google.client_secret": {"config__providers__google__client_secret": "canary"},
}


@pytest.mark.parametrize("place", SECRETS_IN_THE_OPEN)
def test_a_secret_among_the_values_is_refused_by_name_and_not_repeated(engine: Helm, place: str) -> None:
    with pytest.raises(ChartRefusedError) as refusal:
        engine.render(values_of("sqlite", **SECRETS_IN_THE_OPEN[place]))

    assert f"{place} is a secret" in str(refusal.value)
    assert "canary" not in str(refusal.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"replicas": 2}, "a SQLite store belongs to one process"),
        ({"store__kind": "redis"}, "secrets.settings: store is missing"),
        ({"secrets__settings": {}}, "encryption.keys is missing"),
        (
            {"secrets__settings": {"encryption.keys": "k", "store": "s"}},
            "store is only for store.kind: redis",
        ),
        ({"config__listen": {"proxy": "0.0.0.0:4100"}}, "config.listen: leave it out"),
        ({"config__store": "memory:"}, "config.store: leave it out"),
    ],
)
def test_values_that_do_not_go_together_are_refused(
    engine: Helm, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ChartRefusedError, match=message):
        engine.render(values_of("sqlite", **changes))


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"replica": 1}, "'replica'"),
        ({"replicas": "1"}, "/replicas"),
        ({"app__image": None}, "/app"),
        ({"app__image": ""}, "/app/image"),
        ({"app__ports": [{"name": "http", "containerPort": 4100}]}, "/app/ports/0/containerPort"),
        ({"app__env": [{"name": "SIDECAR_URL", "value": "http://elsewhere"}]}, "/app/env/0/name"),
        ({"image__digest": "sha256:abc"}, "/image/digest"),
        ({"config__app": None}, "/config"),
        ({"config__app": "Notes App"}, "/config/app"),
        ({"config__providers": {}}, "/config/providers"),
        ({"secrets__name": None}, "/secrets"),
        ({"secrets__value": "canary"}, "/secrets"),
        ({"store__kind": "memory"}, "/store/kind"),
        ({"store__persistence__size": "much"}, "/store/persistence/size"),
        ({"terminationGracePeriodSeconds": 5}, "/terminationGracePeriodSeconds"),
        ({"podAnnotations": {"a": 1}}, "/podAnnotations/a"),
    ],
)
def test_the_schema_refuses_what_it_does_not_know(engine: Helm, changes: dict[str, Any], place: str) -> None:
    with pytest.raises(ChartRefusedError) as refusal:
        engine.render(values_of("sqlite", **changes))

    assert place in str(refusal.value)
    assert "canary" not in str(refusal.value)


def test_the_values_file_names_everything_that_the_schema_knows() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    text = (CHART / "values.yaml").read_text()
    known = copy.copy(schema["properties"])
    del known["global"], known["config"]
    names = {*known}
    for part in known.values():
        names |= part.get("properties", {}).keys()

    assert {name for name in names if f"{name}:" not in text} == set()
