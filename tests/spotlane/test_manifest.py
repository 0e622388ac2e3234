"""Workload and tenant files: read whole, every fault with its line and field."""

from __future__ import annotations

from pathlib import Path

import pytest

from spotlane import artifact
from spotlane.errors import InvalidDocument
from spotlane.manifest import load_tenant, load_workload

WORKLOAD = """apiVersion: spotlane/v1
kind: Workload
metadata: {name: web, tenant: acme}
spec:
  artifact: {path: service}
  command: [python3, service.py]
  ports: {http: 8080}
"""


def written(folder: Path, text: str) -> Path:
    (folder / "service").mkdir(exist_ok=True)
    (folder / "service" / "service.py").write_text("print('hello')\n")
    file = folder / "workload.yaml"
    file.write_text(text)
    return file


def faults(file: Path) -> list[tuple[int | None, str, str]]:
    with pytest.raises(InvalidDocument) as caught:
        load_workload(file)
    return [(fault.line, fault.field, fault.message) for fault in caught.value.faults]


def test_a_workload_file_gives_its_spec_and_its_packed_artifact(tmp_path: Path) -> None:
    manifest = load_workload(written(tmp_path, WORKLOAD))
    assert manifest.archive is not None
    assert manifest.spec.artifact is not None
    assert (manifest.id, manifest.spec.ports.http, manifest.spec.artifact.digest) == ("web-acme", 8080, artifact.digest(manifest.archive))


def test_all_faults_are_told_together_with_their_lines(tmp_path: Path) -> None:
    text = WORKLOAD.replace("ports: {http: 8080}", "ports: {http: 99999}\n  drainSecond: 5\n  resources:\n    vcpu: none")
    assert faults(written(tmp_path, text)) == [
        (7, "spec.ports.http", "Input should be less than or equal to 65535"),
        (10, "spec.resources.vcpu", "Input should be a valid integer, unable to parse string as an integer"),
        (8, "spec.drainSecond", "unknown field"),
    ]


def test_a_file_without_a_port_says_that_nothing_can_be_served(tmp_path: Path) -> None:
    assert faults(written(tmp_path, WORKLOAD.replace("{http: 8080}", "{}"))) == [
        (7, "spec.ports", "name an http or a tcp port; without one nothing can be served")
    ]


def test_an_endless_cap_is_no_cap_and_is_refused_with_its_line(tmp_path: Path) -> None:
    text = WORKLOAD + "  placement: {maxUsdPerMonth: .inf, stateGib: .nan}\n"
    assert [(line, field) for line, field, _ in faults(written(tmp_path, text))] == [(8, "spec.placement.maxUsdPerMonth"), (8, "spec.placement.stateGib")]


IMAGE = "ghcr.io/acme/web@sha256:" + "0" * 64
AN_IMAGE = WORKLOAD.replace("artifact: {path: service}\n  command: [python3, service.py]", "image: " + IMAGE)


def test_an_image_needs_neither_an_artifact_nor_a_command(tmp_path: Path) -> None:
    manifest = load_workload(written(tmp_path, AN_IMAGE))
    assert (manifest.archive, manifest.spec.artifact, manifest.spec.image, manifest.spec.command) == (None, None, IMAGE, [])


@pytest.mark.parametrize(
    "image",
    ["ghcr.io/acme/web:1.2", "ghcr.io/acme/web", "ghcr.io/acme/web:1.2@sha256:" + "0" * 64, "web@sha256:" + "0" * 64, "ghcr.io/acme/web@sha256:" + "A" * 64],
)
def test_an_image_by_anything_but_registry_and_digest_is_refused_with_the_reason(tmp_path: Path, image: str) -> None:
    advice = "must be registry.example/repository@sha256:<64 hex digits>, without a tag: a tag can be moved to another image, a digest can't"
    assert faults(written(tmp_path, AN_IMAGE.replace(IMAGE, f'"{image}"'))) == [(5, "spec.image", advice)]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (WORKLOAD.replace("  artifact", f"  image: {IMAGE}\n  artifact"), "give either artifact or image"),
        (WORKLOAD.replace("  artifact: {path: service}\n", ""), "give either artifact or image"),
        (WORKLOAD.replace("  command: [python3, service.py]\n", ""), "command is required with an artifact"),
    ],
)
def test_a_spec_says_what_it_runs_in_one_way(tmp_path: Path, spec: str, message: str) -> None:
    assert [found[1:] for found in faults(written(tmp_path, spec))] == [("spec", message)]


def test_a_missing_artifact_names_the_line(tmp_path: Path) -> None:
    found = faults(written(tmp_path, WORKLOAD.replace("path: service", "path: elsewhere")))
    assert [(line, field) for line, field, _ in found] == [(5, "spec.artifact.path")]


def test_text_that_is_no_yaml_names_the_line(tmp_path: Path) -> None:
    assert faults(written(tmp_path, "kind: [Workload\nspec: {"))[0][:2] == (2, "(file)")


def test_a_missing_file_is_one_clear_fault(tmp_path: Path) -> None:
    assert faults(tmp_path / "absent.yaml") == [(None, "(file)", "can't be read: No such file or directory")]


def test_a_tenant_file_carries_its_boundary_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "tenant.yaml"
    file.write_text("apiVersion: spotlane/v1\nkind: Tenant\nmetadata: {name: acme}\nspec:\n  boundary: {name: acme, residency: {regimes: [gdpr]}}\n")
    tenant = load_tenant(file)
    assert (tenant.id, tenant.boundary, tenant.clouds) == ("acme", {"name": "acme", "residency": {"regimes": ["gdpr"]}}, ["aws", "azure", "gcp"])


def test_the_same_files_are_the_same_artifact_whatever_their_times(tmp_path: Path) -> None:
    file = written(tmp_path, WORKLOAD)
    first = artifact.digest(artifact.pack(tmp_path / "service"))
    (tmp_path / "service" / "service.py").touch()
    assert (artifact.digest(artifact.pack(tmp_path / "service")), file.exists()) == (first, True)
