"""What tests/docker_image asks about docker/compose.yaml.

    compose.py schema SCHEMA CASE   the schema takes the file, and refuses a spoilt one
    compose.py shape                what a schema cannot say
    compose.py environment          tokenshim's variables, as NAME=VALUE
"""

import json
import sys

import jsonschema
import yaml


def schema(compose, path, case):
    # A validator that accepts everything proves nothing, so two cases spoil the file.
    if case == "wrong-type":
        compose["services"]["tokenshim"]["read_only"] = ["yes"]
    elif case == "unknown-key":
        compose["services"]["tokenshim"]["read_onyl"] = True
    with open(path, encoding="utf-8") as file:
        errors = list(jsonschema.Draft7Validator(json.load(file)).iter_errors(compose))
    for error in errors:
        print("/".join(map(str, error.path)), error.message)
    refused = case != "as-it-is"
    assert bool(errors) == refused, f"{len(errors)} errors"


def shape(compose):
    nginx, shim, synapse = (compose["services"][name] for name in ("nginx", "tokenshim", "synapse"))
    before, middle, behind = (set(service["networks"]) for service in (nginx, shim, synapse))
    assert not before & behind, "nginx and Synapse share a network"
    assert len(before & middle) == len(middle & behind) == 1
    for network in middle:
        assert compose["networks"][network]["internal"] is True, f"{network} has a way out"

    for service in (shim, synapse):
        assert not service.keys() & {"ports", "network_mode"}, "reachable past nginx"
    for service in (nginx, shim):
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert not service.keys() & {"cap_add", "privileged"}
    assert shim["user"] == "65532:65532"
    assert not shim.keys() & {"tmpfs", "volumes"}, "tokenshim has somewhere to write"
    assert shim["healthcheck"]["test"] == ["CMD", "/tokenshim", "healthcheck"]

    trusted = shim["environment"]["TOKENSHIM_TRUSTED_PROXIES"]
    assert trusted == nginx["networks"]["edge"]["ipv4_address"]
    with open("docker/nginx.conf", encoding="utf-8") as file:
        server = f"server {shim['networks']['edge']['ipv4_address']}:8009;"
        assert server in file.read(), f"nginx.conf has no `{server}`"


def environment(compose):
    for pair in compose["services"]["tokenshim"]["environment"].items():
        print("=".join(pair))


with open("docker/compose.yaml", encoding="utf-8") as opened:
    {"schema": schema, "shape": shape, "environment": environment}[sys.argv[1]](
        yaml.safe_load(opened), *sys.argv[2:]
    )
