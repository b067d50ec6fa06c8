"""What an operator copies from serving_config/: the YAML has the form its reader wants, and names what exists."""

import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml

from unified_ranker.serving.service.service_metrics import ServiceMetrics
from unified_ranker.vectors.refresh_metrics import RefreshMetrics

CONFIG = Path(__file__).parents[2] / "serving_config"
TEXT, TEXTS = {"type": "string"}, {"type": "array", "items": {"type": "string"}}
NAMED = {"type": "object", "required": ["name"]}


def form(required, **properties):
    """A JSON schema of an object with these properties and no others."""
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def documents(path):
    return [document for document in yaml.safe_load_all((CONFIG / path).read_text()) if document]


def served_names():
    """The names of all samples that the service and the refresher export."""
    names = {"process_resident_memory_bytes", "up"}
    ends = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}
    refresher = RefreshMetrics(Path("refresh.prom"), lambda: 0.0)
    for family in (*ServiceMetrics().registry.collect(), *refresher.registry.collect()):
        names |= {f"{family.name}{end}" for end in ends.get(family.type, ("",))}
    return names


def used_names(expression):
    without_strings = re.sub(r'"[^"]*"|\{[^}]*\}|\[[^\]]*\]|by \([^)]*\)', "", expression)
    return set(re.findall(r"\b(?:unified_ranker|process|up)\w*", without_strings))


def expressions():
    [rules] = documents("prometheus/alerts.yaml")
    yield from ((rule["alert"], rule["expr"]) for group in rules["groups"] for rule in group["rules"])
    board = json.loads((CONFIG / "grafana/dashboards/unified_ranker.json").read_text())
    yield from ((panel["title"], target["expr"]) for panel in board["panels"] for target in panel["targets"])


@pytest.mark.parametrize(("where", "expression"), list(expressions()), ids=lambda value: str(value)[:40])
def test_every_metric_of_a_rule_or_the_board_exists(where, expression):
    used = used_names(expression)
    assert used, f"`{where}` asks for nothing"
    assert used <= served_names(), f"`{where}` asks for {used - served_names()}"
    assert expression.count("(") == expression.count(")")


def test_labels_in_expressions_are_those_of_the_metrics():
    labels = {
        f._name: set(f._labelnames) for f in ServiceMetrics().registry._collector_to_names if hasattr(f, "_labelnames")
    }
    labels = {name.removeprefix("unified_ranker_"): of for name, of in labels.items()}
    for where, expression in expressions():
        for name, inside in re.findall(r"unified_ranker_(\w+)\{([^}]*)\}", expression):
            family = re.sub(r"_(total|bucket|sum|count)$", "", name)
            asked = set(re.findall(r"(\w+)\s*(?:=~|!=|=)", inside))
            assert asked <= labels[family], f"`{where}` filters {family} by {asked - labels[family]}"


def test_alert_rules_have_the_form_of_prometheus():
    rule = form(
        ["alert", "expr", "labels", "annotations"],
        alert=TEXT, expr=TEXT, labels=form(["severity"], severity={"enum": ["page", "ticket"]}),
        annotations=form(["summary"], summary=TEXT), **{"for": {"type": "string", "pattern": r"^\d+[smh]$"}},
    )  # fmt: skip
    group = form(["name", "rules"], name=TEXT, rules={"type": "array", "items": rule, "minItems": 5})
    [rules] = documents("prometheus/alerts.yaml")
    jsonschema.validate(rules, form(["groups"], groups={"type": "array", "items": group}))
    names = [rule["alert"] for group in rules["groups"] for rule in group["rules"]]
    assert len(set(names)) == len(names)


def test_prometheus_scrapes_what_the_compose_file_runs():
    [prometheus] = documents("prometheus/prometheus.yaml")
    [compose] = documents("docker-compose.yaml")
    assert prometheus["rule_files"] == ["alerts.yaml"]
    jobs = {job["job_name"]: job for job in prometheus["scrape_configs"]}
    targets = [t for job in jobs.values() for group in job["static_configs"] for t in group["targets"]]
    assert {target.split(":")[0] for target in targets} <= set(compose["services"])
    monitoring = (CONFIG / "monitoring.config").read_text()
    assert f'"{jobs["tensorflow-serving"]["metrics_path"]}"' in monitoring
    assert jobs["unified-ranker"]["metrics_path"] == "/metrics"


def test_compose_file_has_the_form_of_compose_and_stock_images():
    either = {"anyOf": [TEXT, TEXTS]}
    service = form(
        [], image=TEXT, build=form(["context", "dockerfile"], context=TEXT, dockerfile=TEXT), command=either,
        volumes=TEXTS, ports=TEXTS, expose=TEXTS, restart={"enum": ["unless-stopped"]}, mem_limit=TEXT,
        depends_on={"type": "object"}, stop_grace_period=TEXT, environment={"type": "object"},
        healthcheck=form(
            ["test"], test=either, interval=TEXT, timeout=TEXT, retries={"type": "integer"}, start_period=TEXT
        ),
    )  # fmt: skip
    [compose] = documents("docker-compose.yaml")
    many = {"type": "object", "additionalProperties": service}
    jsonschema.validate(compose, form(["services"], name=TEXT, services=many, volumes={"type": "object"}))
    services = compose["services"]
    assert services["model-server"]["image"] == "tensorflow/serving:2.20.0"
    assert set(services) == {"model-server", "redis", "service", "prometheus", "grafana"}
    for name, declared in services.items():
        assert set(declared.get("depends_on", {})) <= set(services)
        for volume in declared.get("volumes", ()):
            source = volume.split(":")[0]
            made_by_operator = source in ("./models", "./tokens.yaml", "./metrics-token", "../releases")
            assert made_by_operator or source in compose["volumes"] or (CONFIG / source).exists(), f"{name}: {source}"
        for port in declared.get("ports", ()):
            assert port.startswith("127.0.0.1:"), "what is published, is published on loopback"
    dockerfile = CONFIG.parent / services["service"]["build"]["dockerfile"]
    assert dockerfile.is_file()


def commands():
    [compose] = documents("docker-compose.yaml")
    yield compose["services"]["service"]["command"]
    for document in documents("k8s/service.yaml"):
        if document["kind"] == "Deployment":
            yield document["spec"]["template"]["spec"]["containers"][0]["args"]


@pytest.mark.parametrize("command", list(commands()), ids=["compose", "kubernetes"])
def test_commands_have_options_that_the_command_line_knows(command):
    import typer.main

    from unified_ranker.cli import app

    serve = typer.main.get_command(app).commands[command[0]]
    known = {option for parameter in serve.params for option in parameter.opts}
    given = {part.split("=")[0] for part in command if part.startswith("--")}
    assert given <= known
    assert "--tokens" in given, "what others can reach asks who they are"


def kubernetes():
    for file in sorted((CONFIG / "k8s").glob("*.yaml")):
        if file.name != "kustomization.yaml":
            yield from ((file.name, document) for document in documents(f"k8s/{file.name}"))


@pytest.mark.parametrize(("file", "document"), list(kubernetes()), ids=lambda value: str(value)[:30])
def test_kubernetes_manifests_have_their_form(file, document):
    jsonschema.validate(
        document, form(["apiVersion", "kind", "metadata"], apiVersion=TEXT, kind=TEXT, metadata=NAMED, spec={})
    )
    if document["kind"] not in ("Deployment", "StatefulSet"):
        return
    spec, pod = document["spec"], document["spec"]["template"]
    assert spec["selector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    [container] = pod["spec"]["containers"]
    assert {"readinessProbe", "livenessProbe"} <= container.keys()
    assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
    ports = {port["name"] for port in container["ports"]}
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        for kind in ("httpGet", "tcpSocket"):
            if kind in container.get(probe, {}):
                assert container[probe][kind]["port"] in ports
    mounted = {mount["name"] for mount in container["volumeMounts"]}
    claims = {claim["metadata"]["name"] for claim in spec.get("volumeClaimTemplates", ())}
    assert mounted == {volume["name"] for volume in pod["spec"].get("volumes", ())} | claims
    if document["kind"] == "Deployment":
        assert spec["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


def test_kustomization_names_the_manifests():
    [kustomization] = documents("k8s/kustomization.yaml")
    files = {file.name for file in (CONFIG / "k8s").glob("*.yaml")} - {"kustomization.yaml"}
    assert set(kustomization["resources"]) == files
    services = {document["metadata"]["name"] for _, document in kubernetes() if document["kind"] == "Service"}
    for command in commands():
        for part in command:
            if match := re.fullmatch(r"--(?:model-server=|store=redis://)([\w-]+):.*", part):
                assert match[1] in services
