# SPDX-License-Identifier: Apache-2.0
"""The JSON Schema of the configuration takes what documents and examples show, and refuses what has another form.

Each document that it refuses is one that `fairlead config check` refuses, too: editors must not complain of what works.
"""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from docs.test_docs import PAGES, SOURCE, blocks, program
from lab import chart_schema

CASES = Path(__file__).resolve().parents[1] / "cli"


@pytest.fixture(scope="module")
def schema() -> Draft7Validator:
    found = json.loads(program("fairlead", "config", "schema"))
    Draft7Validator.check_schema(found)
    return Draft7Validator(found)


def configuration(document: Any) -> Any:
    """What the document is a configuration by: itself, the value of the chart, or the text in a ConfigMap."""
    text = document.get("data", document).get("config", document)
    return yaml.safe_load(text) if isinstance(text, str) else text


def complaints(schema: Draft7Validator, document: Any) -> list[str]:
    return [e.message for e in schema.iter_errors(document)]


@pytest.mark.parametrize("page", PAGES)
def test_configurations_of_documents(page: str, schema: Draft7Validator) -> None:
    for language, body in blocks(page):
        if language == "yaml":
            assert not complaints(schema, configuration(yaml.safe_load(body))), f"{page}: {body}"


def test_the_chart_has_it_for_its_value() -> None:
    found = chart_schema.SCHEMA.read_text(encoding="utf-8")
    assert chart_schema.whole() == found, "cd tests && python3 -m lab.chart_schema"


def test_examples(schema: Draft7Validator) -> None:
    pages = [f for f in (SOURCE / "examples").rglob("*.yaml") if "address-pools:" in f.read_text(encoding="utf-8")]
    assert len(pages) >= 4
    for page in pages:
        for document in yaml.safe_load_all(page.read_text(encoding="utf-8")):
            if document.get("kind", "ConfigMap") == "ConfigMap":
                assert not complaints(schema, configuration(document)), page


def test_what_the_reader_prints(schema: Draft7Validator) -> None:
    """It has nearly all keys, at their defaults or not."""
    for name in ("legacy", "pools", "tenants"):
        said = program("fairlead", "config", "check", "-o", "json", str(CASES / f"{name}.yaml"))
        config = json.loads(said)["config"]
        assert not complaints(schema, config), name




def pool(more: str = "") -> str:
    return f"address-pools: [{{name: lan, protocol: layer2, addresses: [192.0.2.0/24], {more}}}]"


def peer(more: str = "") -> str:
    return f"peers: [{{my-asn: 1, peer-asn: 2, peer-address: 10.0.0.1, {more}}}]"


TAKEN = {
    "nothing": "",
    "no value": "peers:",
    "names of digits": pool().replace("lan", "7"),
    "a list of words": pool("use: [external-ip, load-balancer]"),
    "one word": pool("use: external-ip"),
    "yes or a list: yes": pool("renumber: true"),
    "yes or a list: a list": pool("renumber: [shop/web]"),
    "a list of one": pool().replace("layer2", "[layer2]"),
    "a key at its default": pool("priority: null"),
    "an empty label": peer("node-selectors: [{match-labels: {control-plane: null}}]"),
    "an empty value of a label": peer(
        "node-selectors: [{match-expressions: [{key: a, operator: In, values: [null, b]}]}]"
    ),
    "all nodes": peer("node-selectors: [null]"),
    "aliases": "bgp-communities: {no-export: '65535:65281'}",
}
REFUSED = {
    "an unknown key": "pools: []",
    "an unknown key of a pool": pool("adresses: []"),
    "an unknown key of an advertisement": pool("bgp-advertisements: [{localprefs: 1}]"),
    "an unknown key of a map": "layer2-timing: {hearbeat: 20}",
    "a list for a map": "[]",
    "a map for a list": "peers: {}",
    "a text for a list": peer("node-selectors: rack"),
    "a list for a map in it": "external-ips: []",
    "a list for a text": pool().replace("lan", "[lan]"),
    "a map for a text in a list": pool().replace("192.0.2.0/24", "{a: b}"),
    "a number for an address": peer().replace("10.0.0.1", "10"),
    "a text for a number": peer("peer-port: '179'"),
    "a text for yes or no": peer("ebgp-multihop: 'true'"),
    "neither yes nor a list": pool("renumber: web"),
    "too small a number": peer().replace("my-asn: 1", "my-asn: 0"),
    "too large a number": peer("peer-port: 65536"),
    "a text that is too long": peer(f"name: {'a' * 254}"),
    "no such word": "failover: faster",
    "no such word, of one or a list": pool().replace("layer2", "arp"),
    "no such word in a list": pool().replace("layer2", "[layer2, arp]"),
    "no such operator": peer("node-selectors: [{match-expressions: [{key: a, operator: Is}]}]"),
    "a required key is missing": "peers: [{my-asn: 1, peer-asn: 2}]",
    "a required key without a value": peer().replace("10.0.0.1", "null"),
    "an empty list of addresses": pool().replace("192.0.2.0/24", ""),
    "no list where there must be one": pool("namespaces: null"),
}


def errors_of_reader(document: str) -> list[str]:
    # An empty text would be an error of another kind.
    said = program("fairlead", "config", "check", "-o", "json", "-", stdin=document + "\n#\n", status=None)
    return [e["message"] for e in json.loads(said)["errors"]]


@pytest.mark.parametrize("case", TAKEN)
def test_taken(case: str, schema: Draft7Validator) -> None:
    assert not complaints(schema, yaml.safe_load(TAKEN[case]))
    assert not errors_of_reader(TAKEN[case])


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str, schema: Draft7Validator) -> None:
    assert complaints(schema, yaml.safe_load(REFUSED[case]))
    errors = errors_of_reader(REFUSED[case])
    assert errors and not any("not YAML" in e for e in errors), errors


def test_bad_configuration(schema: Draft7Validator) -> None:
    """Of the many mistakes of one document those of form are told."""
    found = complaints(schema, configuration(yaml.safe_load((CASES / "bad.yaml").read_text(encoding="utf-8"))))
    for what in ("'l2' is not", "'adresses' was unexpected", "'addresses' is a required", "'peer-asn' is a required"):
        assert any(what in f for f in found), found
