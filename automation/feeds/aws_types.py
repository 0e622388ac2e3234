"""AWS's machine types as EC2 describes them: DescribeInstanceTypes (query protocol, 2016-11-15), for types that the catalogue doesn't list.

One region is asked, once a day of the market's clock; prices tell where else a type is sold. Left out is what can't run what is placed here: types that
aren't sold as spot, bare metal, earlier generations (their disks and networks ask for another image), and accelerators that are no GPU.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from urllib.parse import urlencode
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from botocore.credentials import Credentials

from automation.calls.fetch import Answer, FeedFault, Fetcher
from automation.calls.signing import signed
from domain.catalog import CATALOG
from domain.told import Shape

SOURCE = "ec2:DescribeInstanceTypes"
HOME = "us-east-1"
RARELY = timedelta(hours=24)
AGAIN = timedelta(hours=1)
"""What failed is asked again after so long."""
_FILTERS = (("supported-usage-class", "spot"), ("bare-metal", "false"), ("current-generation", "true"), ("hypervisor", "nitro"))
_OTHER_CHIPS = ("fpgaInfo", "inferenceAcceleratorInfo", "neuronInfo", "mediaAcceleratorInfo")
_PAGES = 100


class AwsTypes:
    """Asks once a day."""

    def __init__(self, fetcher: Fetcher) -> None:
        self._fetcher = fetcher
        self._next: datetime | None = None

    def refreshed(self, credentials: Credentials, at: datetime) -> tuple[Shape, ...]:
        """The new types, where they were asked for anew at a moment of the market's clock. Raises :class:`FeedFault`."""
        if self._next is not None and at < self._next:
            return ()
        self._next = at + AGAIN
        form = {"Action": "DescribeInstanceTypes", "Version": "2016-11-15", "MaxResults": "100"}
        for number, (name, value) in enumerate(_FILTERS, 1):
            form |= {f"Filter.{number}.Name": name, f"Filter.{number}.Value.1": value}
        found: list[Shape] = []
        for _ in range(_PAGES):
            answer = self._page(credentials, form)
            token = _read(answer, found)
            if not token:
                self._next = at + RARELY
                return tuple(found)
            form = {**form, "NextToken": token}
        raise FeedFault("malformed", "EC2 goes on naming next pages of machine types")

    def _page(self, credentials: Credentials, form: dict[str, str]) -> Answer:
        return self._fetcher.send(lambda: signed(credentials, "ec2", HOME, f"https://ec2.{HOME}.amazonaws.com/", urlencode(form)))


def _read(answer: Answer, found: list[Shape]) -> str:
    """Takes a page's new types into ``found`` and returns the token of the next page. Raises :class:`FeedFault`."""
    try:
        root = ElementTree.fromstring(answer.body)
    except ElementTree.ParseError as error:
        raise FeedFault("malformed", "EC2 sent machine types that are no XML") from error
    for item in _all(root, "instanceTypeSet", "item"):
        if (shape := _shape(item, answer.at)) is not None:
            found.append(shape)
    return _text(root, "nextToken")


def _shape(item: Element, at: datetime) -> Shape | None:
    """A type's shape; None for one that the catalogue lists, that doesn't serve or lacks a figure."""
    name = _text(item, "instanceType")
    arches = [one for one in (_text(each) for each in _all(item, "processorInfo", "supportedArchitectures", "item")) if one in ("x86_64", "arm64")]
    if CATALOG.has_machine("aws", name) or "." not in name or len(arches) != 1 or any(True for chip in _OTHER_CHIPS for _ in _all(item, chip)):
        return None
    gpus = list(_all(item, "gpuInfo", "gpus", "item"))
    try:
        stored = _text(item, "instanceStorageSupported")
        return Shape(
            "aws",
            name,
            int(_text(item, "vCpuInfo", "defaultVCpus")),
            int(_text(item, "memoryInfo", "sizeInMiB")) / 1024,
            "x86_64" if arches[0] == "x86_64" else "arm64",
            sum(int(_text(one, "count")) for one in gpus),
            SOURCE,
            at,
            family=name.partition(".")[0],
            gpu_type=_text(gpus[0], "name") or None if gpus else None,
            local_disk_gb=0.0 if stored == "false" else float(_text(item, "instanceStorageInfo", "totalSizeInGB")),
            network_gbps=_network(item),
        )
    except ValueError:
        return None


def _network(item: Element) -> float:
    """Gbit/s at most, of all cards together. Raises ValueError where none says it."""
    cards = [float(_text(card, "peakBandwidthInGbps")) for card in _all(item, "networkInfo", "networkCards", "item")]
    if not cards:
        raise ValueError("no network card")
    return sum(cards)


def _all(element: Element, *path: str) -> Iterator[Element]:
    """The elements at a path of names, whatever their namespace."""
    if not path:
        yield element
        return
    for child in element:
        if child.tag.rpartition("}")[2] == path[0]:
            yield from _all(child, *path[1:])


def _text(element: Element, *path: str) -> str:
    """The text at a path; empty where there is none."""
    return next(((found.text or "").strip() for found in _all(element, *path)), "")
