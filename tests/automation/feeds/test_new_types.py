"""Machine types that the clouds tell of and the catalogue doesn't list: read whole, asked for prices where they are near to a need, kept over restarts."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest
from botocore.credentials import Credentials

from automation.calls.fetch import FeedFault, Fetcher
from automation.feeds.aws import AwsFeed
from automation.feeds.aws_types import AwsTypes
from automation.feeds.azure import AzureFeed
from automation.feeds.azure_lists import AzureLists
from automation.feeds.book import Book
from automation.feeds.collection import Collection
from automation.feeds.gcp import GcpFeed
from automation.feeds.gcp_lists import GcpShapes
from automation.feeds.kept import KeptReference
from automation.feeds.new_types import AT_MOST, nearest, placeable
from domain.boundary.compiled import compile as compile_boundary
from domain.boundary.model import parse
from domain.catalog import CATALOG, Machine, OfferRef
from domain.offers import Offers
from domain.ports import Scope
from domain.reference import Reference
from domain.told import Shape
from domain.workload import Requirements
from localcloud.market import Market, MarketSettings
from localcloud.market.http import app
from tests.automation.feeds.wire import START, Answers, Wire
from tests.localcloud.market.transport import AppTransport

KEY = Credentials("key", "secret")
NEW = Shape("aws", "m8g.large", 2, 8.0, "arm64", 0, "ec2", START, family="m8g", local_disk_gb=0.0, network_gbps=12.5)
SPACE = "http://ec2.amazonaws.com/doc/2016-11-15/"


def described(name: str, arch: str = "arm64", more: str = "", network: str = "<peakBandwidthInGbps>12.5</peakBandwidthInGbps>", stored: str = "false") -> str:
    return (
        f"<item><instanceType>{name}</instanceType><processorInfo><supportedArchitectures><item>{arch}</item></supportedArchitectures></processorInfo>"
        f"<vCpuInfo><defaultVCpus>2</defaultVCpus></vCpuInfo><memoryInfo><sizeInMiB>8192</sizeInMiB></memoryInfo>"
        f"<instanceStorageSupported>{stored}</instanceStorageSupported>{more}<networkInfo><networkCards><item>{network}</item></networkCards></networkInfo></item>"
    )


def page(*items: str, token: str = "") -> httpx.Response:
    text = f'<DescribeInstanceTypesResponse xmlns="{SPACE}"><instanceTypeSet>{"".join(items)}</instanceTypeSet><nextToken>{token}</nextToken>'
    return httpx.Response(200, text=f"{text}</DescribeInstanceTypesResponse>")


def types(answers: Answers) -> tuple[AwsTypes, Wire]:
    wire = Wire(answers)
    return AwsTypes(wire.fetcher), wire


def test_aws_describes_its_spot_types_on_every_page_once_a_day() -> None:
    feed, wire = types(lambda request: page(described("c8g.large")) if b"NextToken=more" in request.content else page(described("m8g.large"), token="more"))
    shapes = feed.refreshed(KEY, START)
    assert shapes == (replace(NEW, source="ec2:DescribeInstanceTypes"), replace(NEW, name="c8g.large", family="c8g", source="ec2:DescribeInstanceTypes"))
    form = parse_qs(wire.asked[0].content.decode())
    assert (form["Action"], form["Filter.1.Name"], form["Filter.1.Value.1"]) == (["DescribeInstanceTypes"], ["supported-usage-class"], ["spot"])
    assert feed.refreshed(KEY, START + timedelta(hours=23)) == () and len(wire.asked) == 2
    assert len(feed.refreshed(KEY, START + timedelta(hours=24))) == 2


def test_aws_types_with_gpus_and_disks_are_read_with_model_and_size() -> None:
    disk = "<instanceStorageInfo><totalSizeInGB>250</totalSizeInGB></instanceStorageInfo>"
    gpus = "<gpuInfo><gpus><item><name>L4</name><count>1</count></item></gpus></gpuInfo>"
    [shape] = types(lambda _: page(described("g6.xlarge", "x86_64", disk + gpus, stored="true")))[0].refreshed(KEY, START)
    assert (shape.gpu, shape.gpu_type, shape.local_disk_gb, shape.arch) == (1, "L4", 250.0, "x86_64")


@pytest.mark.parametrize(
    "item",
    [
        described("m5.large", "x86_64"), described("m8g.large", more="<neuronInfo><x/></neuronInfo>"), described("m8g.large", network=""),
        described("m8g.large", stored="true"), described("m8g.large", "i386"), described("odd"),
    ],
    ids=["listed", "another chip", "no network", "no disk size", "another architecture", "no family"],
)  # fmt: skip
def test_aws_types_that_are_listed_do_not_serve_or_lack_a_figure_are_left_out(item: str) -> None:
    assert types(lambda _: page(item))[0].refreshed(KEY, START) == ()


def test_a_list_of_aws_that_fails_is_asked_again_in_an_hour() -> None:
    feed, wire = types(lambda _: httpx.Response(200, text="no xml"))
    for hours, asked in ((0.0, 1), (0.9, 1), (1.0, 2)):
        try:
            assert feed.refreshed(KEY, START + timedelta(hours=hours)) == ()
        except FeedFault as fault:
            assert fault.reason == "malformed"
        assert len(wire.asked) == asked


CAPABLE = {
    "vCPUs": "4", "MemoryGB": "16", "CpuArchitectureType": "x64", "MaxResourceVolumeMB": "0", "LowPriorityCapable": "True", "HyperVGenerations": "V1,V2",
}  # fmt: skip


def size(name: str = "Standard_D4s_v6", restrictions: tuple[str, ...] = (), **changed: str | None) -> dict[str, Any]:
    told = {key: value for key, value in {**CAPABLE, **changed}.items() if value is not None}
    return {
        "resourceType": "virtualMachines", "name": name, "family": "StandardDsv6Family", "restrictions": list(restrictions),
        "capabilities": [{"name": key, "value": value} for key, value in told.items()],
    }  # fmt: skip


def azure(*sizes: dict[str, Any]) -> tuple[Shape, ...]:
    answer = httpx.Response(200, json={"Items": [], "value": list(sizes), "nextLink": None})
    return AzureLists(Wire(lambda _: answer).fetcher, lambda: "token", "subscription").refreshed(["westeurope"], START)[0]


def test_a_new_size_of_azure_is_read_with_its_temporary_disk_and_the_vcpus_that_are_to_be_had() -> None:
    [shape] = azure(size(MaxResourceVolumeMB="153600", vCPUsAvailable="2"))
    assert (shape.name, shape.family, shape.vcpu, shape.memory_gib, shape.arch) == ("Standard_D4s_v6", "StandardDsv6Family", 2, 16.0, "x86_64")
    assert shape.local_disk_gb == pytest.approx(161.06, abs=0.01) and Reference().told([shape], [])[0].new_machines[0].name == "Standard_D4s_v6"


@pytest.mark.parametrize(
    ("name", "model"),
    [("Standard_NC24ads_A100_v4", "A100"), ("Standard_NC80adis_H100_v5", "H100"), ("Standard_NC16as_T4_v3", "T4"), ("Standard_ND96isr_H200_v5", "H200")],
)
def test_a_new_size_of_azure_with_gpus_is_read_with_the_model_that_its_name_tells(name: str, model: str) -> None:
    [shape] = azure(size(name, GPUs="2"))
    assert (shape.gpu, shape.gpu_type) == (2, model) and placeable(shape)
    assert Reference().told([shape], [])[0].new_machines[0].gpu_type == model


@pytest.mark.parametrize(
    "one",
    [
        size(LowPriorityCapable="False"), size(HyperVGenerations="V1"), size(GPUs="1"), size("Standard_NV6ads_A10_v5", GPUs="1"),
        size("Standard_ND96isr_MI300X_v5", GPUs="8"), size(ConfidentialComputingType="SNP"), size(restrictions=("Location",)), size(vCPUs=None),
    ],
    ids=["not spot", "generation 1", "GPU without a model", "part of a GPU", "another maker's GPU", "confidential", "restricted", "no vCPUs"],
)  # fmt: skip
def test_a_new_size_of_azure_that_could_not_run_is_left_out(one: dict[str, Any]) -> None:
    assert azure(one) == ()


def google(machine: dict[str, Any], zones: tuple[str, ...]) -> tuple[Shape, ...]:
    document = {"items": {f"zones/{zone}": {"machineTypes": [machine]} for zone in zones}}
    return GcpShapes(Wire(lambda _: httpx.Response(200, json=document)).fetcher, dict, "platform", {"n2", "g2", "a2"}).refreshed(START)


G2: dict[str, Any] = {
    "name": "g2-standard-4", "guestCpus": 4, "memoryMb": 16384, "architecture": "X86_64",
    "accelerators": [{"guestAcceleratorType": "nvidia-l4", "guestAcceleratorCount": 2}],
}  # fmt: skip
HIGHCPU: dict[str, Any] = {"name": "n2-highcpu-2", "guestCpus": 2, "memoryMb": 2048, "architecture": "X86_64"}


def test_a_new_type_of_google_is_sold_where_every_zone_of_the_region_lists_it() -> None:
    [shape] = google(HIGHCPU, (*CATALOG.region("gcp", "us-west4").zones, CATALOG.region("gcp", "us-west1").zones[0]))
    assert (shape.family, shape.memory_gib, shape.only) == ("n2", 2.0, frozenset({"us-west4"}))


def test_a_new_type_of_google_with_gpus_is_read_with_their_model() -> None:
    [shape] = google({**G2, "name": "g2-standard-24"}, CATALOG.region("gcp", "us-west4").zones)
    assert (shape.family, shape.gpu, shape.gpu_type) == ("g2", 2, "L4") and placeable(shape)
    assert Reference().told([shape], [])[0].new_machines[0].gpu_type == "L4"


@pytest.mark.parametrize(
    "odd",
    [
        {"isSharedCpu": True}, {"bundledLocalSsds": {"defaultCount": 1}}, {"accelerators": [{"guestAcceleratorCount": 1}]}, {"name": "c4-standard-2"},
        {"name": "n2-x-metal"}, {"accelerators": [{"guestAcceleratorType": "nvidia-h100-80gb", "guestAcceleratorCount": 8}]},
        {"accelerators": [{"guestAcceleratorType": one, "guestAcceleratorCount": 1} for one in ("nvidia-l4", "nvidia-tesla-a100")]},
    ],
    ids=["shared core", "local disk", "GPU without a model", "family without rates", "metal", "GPU without a rate", "two models"],
)  # fmt: skip
def test_a_new_type_of_google_whose_price_is_not_its_cores_memory_and_gpus_is_left_out(odd: dict[str, Any]) -> None:
    assert google({**HIGHCPU, **odd}, CATALOG.region("gcp", "us-west4").zones) == ()


def machine(name: str, vcpu: int, memory: float, **changed: Any) -> Machine:
    return replace(Machine("aws", name, name.partition(".")[0], vcpu, memory), **changed)


def test_new_types_count_up_to_four_times_a_need_nearest_first_and_what_runs_always() -> None:
    near, far, huge, gpu = (
        machine("m8i.large", 2, 8),
        machine("m8i.2xlarge", 8, 32),
        machine("m8i.4xlarge", 16, 64),
        machine("g6.large", 2, 8, gpu=1, gpu_type="L4"),
    )
    needs = [Requirements(2, 8.0)]
    assert nearest([huge, far, gpu, near], needs, ()) == (near, far)
    assert nearest([huge, far, gpu, near], needs, {("aws", "m8i.4xlarge")}) == (huge, near, far)
    assert nearest([near, far], [], ()) == () and nearest([near], [Requirements(2, 8.0, "arm64")], ()) == ()
    many = [machine(f"m{number}i.large", 2, 8) for number in range(3 * AT_MOST)]
    assert len(nearest(many, needs, ())) == AT_MOST


@pytest.mark.parametrize(
    ("shape", "is_placeable"),
    [
        (NEW, True), (replace(NEW, arch="x86_64"), False), (replace(NEW, name="mac2.large", arch="x86_64"), False),
        (replace(NEW, cloud="azure", name="Standard_D4s_v6", arch="x86_64"), True), (replace(NEW, cloud="azure", name="Standard_B2s", arch="x86_64"), False),
        (replace(NEW, cloud="gcp", name="n2-highcpu-2", arch="x86_64"), True), (replace(NEW, cloud="gcp", name="x4-huge", arch="x86_64"), False),
    ],
)  # fmt: skip
def test_only_what_a_stack_would_declare_is_placeable(shape: Shape, is_placeable: bool) -> None:
    assert placeable(shape) is is_placeable


def test_what_was_told_is_there_after_a_restart_and_a_broken_file_says_so(tmp_path: Path) -> None:
    kept = KeptReference(tmp_path / "automation" / "reference.json")
    assert kept.restored() == Reference()
    told = Reference().told([NEW, replace(NEW, cloud="gcp", name="n2-highcpu-2", only=frozenset({"us-west4"}))], [])[0]
    kept.keep(told)
    assert KeptReference(tmp_path / "automation" / "reference.json").restored() == told and len(list((tmp_path / "automation").iterdir())) == 1
    (tmp_path / "automation" / "reference.json").write_text('{"shapes": [{"cloud": "aws"')
    again = KeptReference(tmp_path / "automation" / "reference.json")
    assert again.restored() == Reference() and again.fault is not None and "reference.json" in again.fault


def test_what_can_not_be_is_not_believed_of_the_kept_file_either(tmp_path: Path) -> None:
    kept = KeptReference(tmp_path / "reference.json")
    kept.keep(Reference(shapes={("aws", "m8g.large"): replace(NEW, memory_gib=8192.0)}))
    assert kept.restored() == Reference()


def selling(market: Market, price: str | None) -> httpx.Client:
    """The market with two more types in AWS's list, one of which is named against its architecture; the other has a price in eu-west-1a, if at all."""

    def tamper(request: httpx.Request, response: httpx.Response) -> httpx.Response:
        form = request.content.decode()
        headers = {"date": response.headers.get("date", "")}
        if "DescribeInstanceTypes" in form:
            return httpx.Response(200, headers=headers, text=page(*(described(name) for name in ("m8g.large", "m8i.large"))).text)
        if "DescribeSpotPriceHistory" in form and "Filter.1.Value.1=m8g.large" in form:
            asked = "".join(
                f"<item><instanceType>m8g.large</instanceType><productDescription>Linux/UNIX</productDescription><spotPrice>{price}</spotPrice>"
                "<timestamp>2026-03-10T07:00:00.000Z</timestamp><availabilityZone>eu-west-1a</availabilityZone></item>"
                for _ in range(price is not None)
            )
            return httpx.Response(200, headers=headers, text=f'<x xmlns="{SPACE}"><spotPriceHistorySet>{asked}</spotPriceHistorySet></x>')
        return response

    return httpx.Client(transport=AppTransport(app(market), tamper))


@pytest.mark.parametrize("price", ["0.02", None])
def test_a_new_type_is_an_offer_once_it_has_a_price_and_never_without(price: str | None, tmp_path: Path) -> None:
    market = Market.open(tmp_path / "market", MarketSettings(seed=3, start=START, running=False))
    fetcher = Fetcher(selling(market, price), sleep=lambda _: None)
    kept = KeptReference(tmp_path / "reference.json")
    collection = Collection([AwsFeed(fetcher, lambda: KEY)], Book(), kept=kept)
    only = [compile_boundary(parse("name: ireland\nversion: 1\nresidency: {regions: [aws/eu-west-1]}"))]
    needs = [Requirements(2, 8.0, "arm64")]
    collection.collect(only, needs)
    assert [one.name for one in collection.reference.new_machines] == ["m8g.large"]
    market.advance(60)
    collection.collect(only, needs)
    offers = {one.ref for one in Offers.quoted(collection.book.quotes(), catalog=collection.reference.catalog) if one.ref.instance_type == "m8g.large"}
    assert offers == ({OfferRef("aws", "eu-west-1", "eu-west-1a", "m8g.large")} if price else set())
    assert collection.reference.latest()["aws", "types"][2] == 1 and kept.restored().new_machines == collection.reference.new_machines


def test_new_types_are_asked_for_by_filter_in_groups_beside_the_listed_ones() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        empty = f'<x xmlns="{SPACE}"></x>'
        return httpx.Response(200, text=empty) if b"DescribeSpotPriceHistory" in request.content else httpx.Response(200, json={"PriceList": []})

    new = tuple(machine(f"m{number}i.large", 2, 8) for number in range(150))
    wire = Wire(answer)
    AwsFeed(wire.fetcher, lambda: KEY, Scope(frozenset({"eu-west-1"}), frozenset(), new)).collect(START)
    asked = [parse_qs(one.content.decode()) for one in wire.asked if b"DescribeSpotPriceHistory" in one.content]
    assert [sum(name.startswith("Filter.1.Value") for name in form) for form in asked] == [100, 50]
    assert not any(name.startswith("InstanceType") for form in asked for name in form)
    priced = [json.loads(one.content)["Filters"][-1]["Value"].split(",") for one in wire.asked if b"AmazonEC2" in one.content]
    assert {name for names in priced for name in names} >= {one.name for one in new} and max(map(len, priced)) <= 50


def test_azure_and_google_price_new_types_by_their_own_meters_and_rates(tmp_path: Path) -> None:
    item = {
        "currencyCode": "USD", "tierMinimumUnits": 0.0, "retailPrice": 0.04, "armRegionName": "westeurope", "meterName": "D4s v6 Spot", "skuName": "x",
        "productName": "Virtual Machines Dsv6 Series", "unitOfMeasure": "1 Hour", "type": "Consumption", "armSkuName": "Standard_D4s_v6",
    }  # fmt: skip
    wire = Wire(lambda _: httpx.Response(200, json={"Items": [item], "NextPageLink": None}))
    scope = Scope(frozenset({"westeurope"}), frozenset(), (Machine("azure", "Standard_D4s_v6", "x", 4, 16),))
    [quote] = AzureFeed(wire.fetcher, scope).collect(START).quotes
    assert (quote.offer, quote.spot) == (OfferRef("azure", "westeurope", "-", "Standard_D4s_v6"), 0.04)
    market = Market.open(tmp_path, MarketSettings(seed=3, start=START, running=False))
    client = Fetcher(httpx.Client(transport=AppTransport(app(market))), sleep=lambda _: None)
    new = Machine("gcp", "n2-standard-6", "n2", 6, 24, only=frozenset({"us-west4"}))
    scope = Scope(frozenset({"us-west4", "us-west1"}), frozenset({"n2-standard-4", "n2-standard-2"}), (new,))
    found = {one.offer.instance_type: one for one in GcpFeed(client, {"GOOGLE_API_KEY": "key"}, scope).collect(START).quotes if one.offer.region == "us-west4"}
    assert found["n2-standard-6"].spot == pytest.approx(float(found["n2-standard-4"].spot) + float(found["n2-standard-2"].spot))  # type: ignore[arg-type]  # known


def test_the_local_aws_lists_what_it_sells_and_so_nothing_new(tmp_path: Path) -> None:
    market = Market.open(tmp_path, MarketSettings(seed=3, start=START, running=False))
    assert AwsTypes(Fetcher(httpx.Client(transport=AppTransport(app(market))))).refreshed(KEY, START) == ()

    def renamed(_: httpx.Request, response: httpx.Response) -> httpx.Response:
        return httpx.Response(200, headers={"date": response.headers["date"]}, text=response.text.replace(".2xlarge<", ".new<"))

    found = AwsTypes(Fetcher(httpx.Client(transport=AppTransport(app(market), renamed)))).refreshed(KEY, START)
    told = {one.name: (one.vcpu, one.memory_gib, one.arch, one.gpu, one.gpu_type, one.local_disk_gb, one.network_gbps) for one in found}
    listed = [one for one in CATALOG.machines("aws") if one.name.endswith(".2xlarge")]
    assert told == {
        one.name.replace(".2xlarge", ".new"): (one.vcpu, one.memory_gib, one.arch, one.gpu, one.gpu_type, one.local_disk_gb, one.network_gbps) for one in listed
    }
