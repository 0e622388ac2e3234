"""The catalogue against what the providers' own metadata says, as far as installed packages have it, and against the boundary's table of regions."""

from __future__ import annotations

import csv
import gzip
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from botocore.loaders import Loader

from domain.boundary import regions as boundary
from domain.catalog import CATALOG, CLOUDS, Machine
from domain.unknown import Unknown

EC2 = files("moto") / "ec2" / "resources"
"""EC2's answers to DescribeInstanceTypes and DescribeInstanceTypeOfferings, as moto keeps them."""
TO_BE_VERIFIED = "fedramp-moderate-or-high-verify"
"""A label of the reference table that says to ask the provider: no jurisdiction, and no boundary can name it."""


def document(*path: str) -> Any:
    return json.loads(gzip.decompress(EC2.joinpath(*path).read_bytes()))


def as_catalogued(name: str, told: dict[str, Any]) -> Machine:
    """A machine of the catalogue's form, of what EC2 tells."""
    gpus = told.get("GpuInfo", {}).get("Gpus", [])
    return Machine(
        "aws",
        name,
        name.partition(".")[0],
        told["VCpuInfo"]["DefaultVCpus"],
        told["MemoryInfo"]["SizeInMiB"] / 1024,
        "arm64" if "arm64" in told["ProcessorInfo"]["SupportedArchitectures"] else "x86_64",
        sum(one["Count"] for one in gpus),
        gpus[0]["Name"] if gpus else None,
        None,
        told.get("InstanceStorageInfo", {}).get("TotalSizeInGB", 0.0),
        max(card["PeakBandwidthInGbps"] for card in told["NetworkInfo"]["NetworkCards"]),
    )


def test_aws_machines_have_the_shape_that_ec2_tells() -> None:
    told = document("instance_types.json.gz")
    assert [as_catalogued(one.name, told[one.name]) for one in CATALOG.machines("aws")] == list(CATALOG.machines("aws"))


def test_aws_regions_are_those_of_botocores_public_partition() -> None:
    [public] = [one for one in Loader().load_data("endpoints")["partitions"] if one["partition"] == "aws"]
    assert {one.name for one in CATALOG.regions("aws")} == set(public["regions"])


def test_aws_types_are_offered_in_zones_that_the_catalogue_has() -> None:
    """What EC2 offered where; a zone of the catalogue that the metadata doesn't know may be new, the other way round it is missing."""
    types = {one.name for one in CATALOG.machines("aws")}
    missing = {}
    for region in CATALOG.regions("aws"):
        kept = EC2 / "instance_type_offerings" / "availability-zone" / f"{region.name}.json.gz"
        if kept.is_file():
            told = {one["Location"] for one in json.loads(gzip.decompress(kept.read_bytes())) if one["InstanceType"] in types}
            if gone := told - set(region.zones):
                missing[region.name] = sorted(gone)
    assert missing == {}


@pytest.mark.parametrize("cloud", CLOUDS)
def test_every_region_has_a_country_and_every_shape_is_whole(cloud: str) -> None:
    assert [one.name for one in CATALOG.regions(cloud) if boundary.find(cloud, one.name) is None] == []
    for machine in CATALOG.machines(cloud):
        assert machine.vcpu > 0 and machine.memory_gib > 0 and (machine.gpu > 0) == (machine.gpu_type is not None)
        assert isinstance(machine.network_gbps, Unknown) or machine.network_gbps > 0
        assert machine.only is None or machine.only <= {one.name for one in CATALOG.regions(cloud)}


def test_regions_countries_and_jurisdictions_are_those_of_the_reference_tables(data: Path) -> None:
    rows = list(csv.DictReader((data / "regions.csv").open(encoding="utf-8")))
    ours = {key: found for key in boundary.regions() if (found := boundary.find(*key)) is not None}
    public = {(row["cloud"], row["region"]): row["country"] for row in rows if row["kind"] == "region" and row["status"] == "public"}
    assert {key: found.country for key, found in ours.items()} == public
    for row in csv.DictReader((data / "jurisdictions.csv").open(encoding="utf-8")):
        if row["jurisdiction"] != TO_BE_VERIFIED:
            found = {name for (cloud, name), one in ours.items() if cloud == row["cloud"] and row["jurisdiction"] in one.jurisdictions}
            assert found == set(row["regions"].split()), (row["jurisdiction"], row["cloud"])
