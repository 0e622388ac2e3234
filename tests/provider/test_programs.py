"""The package under the real engine: a program that knows nothing of our Python makes a network, and takes it down again."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.provider.conftest import PACKAGE, Project

PYTHON = """
import pulumi

class Network(pulumi.ComponentResource):
    vpc_id: pulumi.Output[str]

    def __init__(self, name, props):
        super().__init__("spotlane:aws:Network", name, {**props, "vpcId": None}, None, remote=True)

network = Network("network", {"cidr": "10.16.0.0/16", "zones": ["eu-west-1a", "eu-west-1b"], "region": "eu-west-1"})
pulumi.export("vpc", network.vpcId)
"""
GENERATED = """
import pulumi
from pulumi_spotlane import aws

network = aws.Network("network", cidr="10.16.0.0/16", zones=["eu-west-1a", "eu-west-1b"], region="eu-west-1")
pulumi.export("vpc", network.vpc_id)
"""
YAML = f"""
name: own
runtime: yaml
packages:
  spotlane: {PACKAGE}
resources:
  network:
    type: spotlane:aws:Network
    properties: {{cidr: 10.16.0.0/16, zones: [eu-west-1a, eu-west-1b], region: eu-west-1}}
outputs:
  vpc: ${{network.vpcId}}
"""
REGION = ("config", "set", "aws:region", "eu-west-1")


def up_and_down(project: Project) -> None:
    up = project.pulumi("up", "--yes", "--skip-preview")
    assert up.returncode == 0, up.stdout + up.stderr
    found = project.resources()
    assert found["aws:ec2/vpc:Vpc"]["inputs"]["cidrBlock"] == "10.16.0.0/16"
    assert project.pulumi("stack", "output", "vpc").stdout.strip() == found["aws:ec2/vpc:Vpc"]["id"]
    assert found["aws:ec2/natGateway:NatGateway"]["parent"].endswith("spotlane:aws:Network::network")
    down = project.pulumi("destroy", "--yes", "--skip-preview")
    assert down.returncode == 0, down.stdout + down.stderr
    assert project.resources().keys() <= {"pulumi:pulumi:Stack"}


@pytest.mark.usefixtures("yaml_host")
def test_a_yaml_program_makes_a_network(project: Project) -> None:
    project.begin(YAML)
    project.pulumi(*REGION)
    up_and_down(project)


@pytest.mark.usefixtures("yaml_host")
def test_a_fault_in_a_yaml_program_is_one_message_with_its_place(project: Project) -> None:
    project.begin(YAML.replace("zones: [eu-west-1a, eu-west-1b]", "zones: [eu-west-1a], cider: x"))
    failed = project.pulumi("preview")
    assert failed.returncode != 0
    assert "cider" in failed.stdout and "Traceback" not in failed.stdout


def test_a_python_program_makes_a_network(project: Project) -> None:
    project.begin(f"name: own\nruntime: python\npackages:\n  spotlane: {PACKAGE}\n")
    (project.directory / "__main__.py").write_text(PYTHON)
    project.pulumi(*REGION)
    up_and_down(project)


def test_a_python_program_makes_a_network_with_a_generated_sdk(project: Project, python_sdk: Path) -> None:
    project.begin(f"name: own\nruntime: python\npackages:\n  spotlane: {PACKAGE}\n")
    shutil.copytree(python_sdk, project.directory, dirs_exist_ok=True)
    (project.directory / "__main__.py").write_text(GENERATED)
    project.pulumi(*REGION)
    up_and_down(project)


def test_what_a_component_refuses_is_one_message(project: Project) -> None:
    project.begin(f"name: own\nruntime: python\npackages:\n  spotlane: {PACKAGE}\n")
    (project.directory / "__main__.py").write_text(PYTHON.replace("10.16.0.0/16", "10.16.0.0/30"))
    failed = project.pulumi("preview")
    assert failed.returncode != 0
    assert "10.16.0.0/30" in failed.stdout and "Traceback" not in failed.stdout and "cidr.py" not in failed.stdout
