"""The Helm chart as Helm renders it, held against the schemas of Kubernetes and against what the documentation says."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import kubernetes_validate
import pytest
import yaml

from support.deploy_programs import DEPLOY, helm, run

CHART = DEPLOY / "helm/keyrack"
NEEDED = ("--set", "existingSecret=keyrack", "--set", "publicUrl=https://keyrack.example.com")
VARIANTS: Mapping[str, tuple[str, ...]] = {
    "as it is": (),
    "first install": ("--set", "bootstrap.email=you@example.com"),
    "everything": (
        "--set=ingress.enabled=true,ingress.host=keyrack.example.com,ingress.tlsSecret=tls,ingress.className=nginx",
        "--set=persistence.storageClass=fast,image.digest=sha256:" + "a" * 64,
        "--set=settings.KEYRACK_TRUSTED_PROXIES=10.0.0.0/8,server.processes=2,imagePullSecrets[0].name=registry",
        '--set-json=networkPolicy.database=[{"ipBlock":{"cidr":"10.1.2.3/32"}}]',
        '--set-json=networkPolicy.extraEgress=[{"ports":[{"protocol":"TCP","port":8200}]}]',
        '--set-json=tolerations=[{"key":"a","operator":"Exists"}]',
        '--set-json=nodeSelector={"disk":"ssd"}',
        '--set-json=metrics.annotations={"prometheus.io/scrape":"true"}',
        '--set-json=serviceAccount.annotations={"eks.amazonaws.com/role-arn":"arn:aws:iam::1:role/keyrack"}',
    ),
    "least": ("--set=networkPolicy.enabled=false,persistence.enabled=false,server.replicas=1,worker.replicas=1",),
}


def rendered(*options: str) -> list[dict[str, Any]]:
    done = run(helm(), "template", "release", CHART, *NEEDED, *options)
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


@pytest.fixture(params=VARIANTS, scope="module")
def documents(request: pytest.FixtureRequest) -> list[dict[str, Any]]:
    return rendered(*VARIANTS[request.param])


def pods(documents: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Return what runs: the name and the template of its pods."""
    for document in documents:
        if document["kind"] in ("StatefulSet", "Job", "Deployment"):
            yield document["metadata"]["name"], document["spec"]["template"]


def test_helm_finds_nothing_to_say() -> None:
    done = run(helm(), "lint", CHART, "--strict", *NEEDED)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING" not in done.stdout


@pytest.mark.parametrize("version", ["1.27", "1.33"])
def test_kubernetes_takes_every_document(documents: list[dict[str, Any]], version: str) -> None:
    for document in documents:
        kubernetes_validate.validate(document, version, strict=True)


def test_nothing_that_runs_may_more_than_it_needs(documents: list[dict[str, Any]]) -> None:
    found = dict(pods(documents))
    assert set(found) == {"release-server", "release-worker", "release-upgrade"}
    for template in found.values():
        pod = template["spec"]
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        (container,) = pod["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {mount["mountPath"] for mount in container["volumeMounts"]} == {"/var/lib/keyrack", "/tmp"}
        assert container["envFrom"] == [{"secretRef": {"name": "keyrack"}}]
        assert not {"KEYRACK_KEY", "KEYRACK_DATABASE_URL"} & {entry["name"] for entry in container["env"]}


def test_what_serves_is_probed_and_may_be_disrupted_one_at_a_time(documents: list[dict[str, Any]]) -> None:
    serving = {d["metadata"]["name"]: d["spec"] for d in documents if d["kind"] == "StatefulSet"}
    budgets = {d["metadata"]["name"]: d["spec"] for d in documents if d["kind"] == "PodDisruptionBudget"}
    assert set(serving) == set(budgets) == {"release-server", "release-worker"}
    for name, spec in serving.items():
        (container,) = spec["template"]["spec"]["containers"]
        assert (
            container["livenessProbe"]["httpGet"]["path"] == container["startupProbe"]["httpGet"]["path"] == "/healthz"
        )
        assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
        labels = spec["template"]["metadata"]["labels"]
        for selector in (spec["selector"], budgets[name]["selector"]):
            assert selector["matchLabels"].items() <= labels.items()
        assert budgets[name]["maxUnavailable"] == 1


def test_the_schema_is_upgraded_before_anything_new_serves(documents: list[dict[str, Any]]) -> None:
    (job,) = (document for document in documents if document["kind"] == "Job")
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    account = next(document for document in documents if document["kind"] == "ServiceAccount")
    assert int(account["metadata"]["annotations"]["helm.sh/hook-weight"]) < int(
        job["metadata"]["annotations"]["helm.sh/hook-weight"]
    )
    assert job["spec"]["template"]["spec"]["serviceAccountName"] == account["metadata"]["name"]


def test_the_job_of_a_first_install_prints_no_key() -> None:
    job = dict(pods(rendered(*VARIANTS["first install"])))["release-upgrade"]
    assert job["spec"]["containers"][0]["args"] == ["bootstrap", "--unattended", "--email", "you@example.com"]


def test_private_addresses_are_out_of_reach_but_for_names_and_the_database() -> None:
    (policy,) = (document for document in rendered() if document["kind"] == "NetworkPolicy")
    names, database, providers = policy["spec"]["egress"]
    assert {port["port"] for port in names["ports"]} == {53}
    assert {port["port"] for port in database["ports"]} == {5432}
    assert {port["port"] for port in providers["ports"]} == {443}
    (four,) = (to["ipBlock"] for to in providers["to"] if to["ipBlock"]["cidr"] == "0.0.0.0/0")
    assert {"10.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8"} <= set(four["except"])


@pytest.mark.parametrize(
    ("option", "named"),
    [
        ("existingSecret=", "existingSecret"),
        ("publicUrl=", "publicUrl"),
        ("publicUrl=http://keyrack.example.com", "publicUrl"),
        ("settings.KEYRACK_KEY=secret", "KEYRACK_KEY"),
        ("settings.PATH=/bin", "PATH"),
        ("server.replicas=0", "replicas"),
        ("image.digest=latest", "digest"),
        ("servers.replicas=3", "servers"),
        ("ingress.enabled=true,ingress.host=a.example", "tlsSecret"),
    ],
)
def test_values_that_cannot_be_meant_are_refused(option: str, named: str) -> None:
    done = run(helm(), "template", "release", CHART, *NEEDED, "--set", option)
    assert done.returncode != 0
    assert named in done.stderr


def test_every_value_is_in_the_schema_and_has_a_default() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert set(values) == set(schema["properties"]) - {"global"}
