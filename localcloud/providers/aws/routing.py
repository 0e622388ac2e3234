"""Route tables, routes and their associations."""

from __future__ import annotations

import zlib
from typing import Any

from localcloud.providers.aws.resource import AwsHandler, given, one, tagged, tags_of
from localcloud.providers.aws.session import ask, find
from localcloud.providers.faults import Rejected
from localcloud.providers.ports import Call, Made
from localcloud.providers.values import Props

_DESTINATIONS = {
    "destinationCidrBlock": "DestinationCidrBlock",
    "destinationIpv6CidrBlock": "DestinationIpv6CidrBlock",
    "destinationPrefixListId": "DestinationPrefixListId",
}
_TARGETS = {
    "gatewayId": "GatewayId",
    "natGatewayId": "NatGatewayId",
    "networkInterfaceId": "NetworkInterfaceId",
    "transitGatewayId": "TransitGatewayId",
    "vpcEndpointId": "VpcEndpointId",
    "vpcPeeringConnectionId": "VpcPeeringConnectionId",
    "egressOnlyGatewayId": "EgressOnlyInternetGatewayId",
}
_INLINE = {"cidrBlock": "DestinationCidrBlock", "ipv6CidrBlock": "DestinationIpv6CidrBlock"}


class RouteTable(AwsHandler):
    """``aws:ec2/routeTable:RouteTable``; routes may stand in it or be resources of their own."""

    FIELDS = "vpcId routes"

    def create(self, call: Call, inputs: Props) -> Made:
        ec2 = self.session.client("ec2", inputs)
        id = str(ask(ec2.create_route_table, VpcId=inputs["vpcId"], **tagged("route-table", inputs))["RouteTable"]["RouteTableId"])
        return self.finished(call, id, inputs, *([lambda: self._routes(id, inputs, [], inputs["routes"])] if inputs.get("routes") else []))

    def read(self, call: Call, id: str, known: Props) -> Made | None:
        table = one(self.session.client("ec2", known).describe_route_tables, "RouteTables", RouteTableIds=[id])
        if table is None:
            return None
        routes = [_inline(route) for route in table["Routes"] if route.get("GatewayId") != "local" and not route.get("GatewayId", "").startswith("vpce-")]
        arn = self.session.arn("ec2", known, f"route-table/{id}")
        owner = table.get("OwnerId", self.session.account)
        return Made(
            id, {"arn": arn, "vpcId": table["VpcId"], "ownerId": owner, "routes": routes, "propagatingVgws": [], **tags_of(table), **self.placed(known)}
        )

    def change(self, call: Call, id: str, known: Props, old: Props, new: Props) -> None:
        if new.get("routes") is not None and old.get("routes") != new.get("routes"):
            self._routes(id, known, old.get("routes") or [], new["routes"])

    def delete(self, call: Call, id: str, known: Props) -> None:
        find(self.session.client("ec2", known).delete_route_table, RouteTableId=id)

    def _routes(self, id: str, props: Props, old: list[Props], new: list[Props]) -> None:
        ec2 = self.session.client("ec2", props)
        for route in [route for route in old if route not in new]:
            find(ec2.delete_route, RouteTableId=id, **given(route, **{parameter: name for name, parameter in _INLINE.items()}))
        for route in [route for route in new if route not in old]:
            names = {parameter: name for name, parameter in (_INLINE | _TARGETS).items()}
            ask(ec2.create_route, RouteTableId=id, **given(route, **names))


def _inline(route: dict[str, Any]) -> Props:
    names = {**_INLINE, **_TARGETS}
    return {name: route[parameter] for name, parameter in names.items() if route.get(parameter)}


class Route(AwsHandler):
    """``aws:ec2/route:Route``. Imported as ``<route table>_<destination>``."""

    FIELDS = "routeTableId " + " ".join([*_DESTINATIONS, *_TARGETS])
    TAGGED = False

    def create(self, call: Call, inputs: Props) -> Made:
        ec2 = self.session.client("ec2", inputs)
        existing = self._route(inputs["routeTableId"], _destination(inputs), inputs) if call.resumed else None
        if existing is None:
            ask(ec2.create_route, RouteTableId=inputs["routeTableId"], **_parameters(inputs, _DESTINATIONS | _TARGETS))
        return self.present(call, _route_id(inputs["routeTableId"], _destination(inputs)), inputs)

    def read(self, call: Call, id: str, known: Props) -> Made | None:
        table, destination = known.get("routeTableId"), _destination(known)
        if not table:
            table, _, destination = id.partition("_")
        route = self._route(table, destination, known)
        if route is None:
            return None
        outputs = {name: route.get(parameter) for name, parameter in (_DESTINATIONS | _TARGETS).items()}
        outputs |= {"routeTableId": table, "state": route.get("State", "active"), "origin": route.get("Origin", "CreateRoute")}
        return Made(_route_id(table, destination), {**outputs, **self.placed(known)})

    def change(self, call: Call, id: str, known: Props, old: Props, new: Props) -> None:
        ask(self.session.client("ec2", known).replace_route, RouteTableId=new["routeTableId"], **_parameters(new, _DESTINATIONS | _TARGETS))

    def update(self, call: Call, id: str, known: Props, old: Props, new: Props) -> Props:
        self.change(call, id, known, old, new)
        return self.present(call, id, {**known, **dict.fromkeys(_TARGETS), **new}).outputs

    def delete(self, call: Call, id: str, known: Props) -> None:
        find(self.session.client("ec2", known).delete_route, RouteTableId=known["routeTableId"], **_parameters(known, _DESTINATIONS))

    def _route(self, table: str, destination: str, props: Props) -> Any:
        found = one(self.session.client("ec2", props).describe_route_tables, "RouteTables", RouteTableIds=[table])
        for route in found["Routes"] if found else []:
            if destination and destination in (route.get(parameter) for parameter in _DESTINATIONS.values()):
                return route
        return None


def _destination(props: Props) -> str:
    return next((str(props[name]) for name in _DESTINATIONS if props.get(name)), "")


def _parameters(props: Props, names: dict[str, str]) -> dict[str, Any]:
    return {parameter: props[name] for name, parameter in names.items() if props.get(name)}


def _route_id(table: str, destination: str) -> str:
    """``r-<table><CRC-32 of the destination>``, as Terraform's provider makes it."""
    return f"r-{table}{zlib.crc32(destination.encode())}"


class RouteTableAssociation(AwsHandler):
    """``aws:ec2/routeTableAssociation:RouteTableAssociation``. Imported as ``<subnet>/<route table>``."""

    FIELDS = "routeTableId subnetId gatewayId"
    TAGGED = False

    def create(self, call: Call, inputs: Props) -> Made:
        ec2 = self.session.client("ec2", inputs)
        wanted = given(inputs, SubnetId="subnetId", GatewayId="gatewayId")
        id = str(ask(ec2.associate_route_table, RouteTableId=inputs["routeTableId"], **wanted)["AssociationId"])
        return self.present(call, id, inputs)

    def read(self, call: Call, id: str, known: Props) -> Made | None:
        ec2 = self.session.client("ec2", known)
        subnet, found, table = id.partition("/")
        wanted = {"Name": "association.subnet-id", "Values": [subnet]} if found else {"Name": "association.route-table-association-id", "Values": [id]}
        for item in ask(ec2.describe_route_tables, Filters=[wanted])["RouteTables"]:
            for link in item["Associations"]:
                if link["RouteTableAssociationId"] == id or (found and link.get("SubnetId") == subnet and item["RouteTableId"] == table):
                    outputs = {"routeTableId": item["RouteTableId"], "subnetId": link.get("SubnetId"), "gatewayId": link.get("GatewayId")}
                    return Made(str(link["RouteTableAssociationId"]), {**outputs, **self.placed(known)})
        return None

    def update(self, call: Call, id: str, known: Props, old: Props, new: Props) -> Props:
        ec2 = self.session.client("ec2", known)
        fresh = ask(ec2.replace_route_table_association, AssociationId=id, RouteTableId=new["routeTableId"])["NewAssociationId"]
        made = self.read(call, f"{new['subnetId']}/{new['routeTableId']}" if new.get("subnetId") else fresh, new)
        if made is None:
            raise Rejected(f"{id}: the association was not found after it was moved to {new['routeTableId']}")
        return made.outputs

    def delete(self, call: Call, id: str, known: Props) -> None:
        # An update gives an association a new id that Pulumi never learns; the subnet finds it.
        made = self.read(call, id, known) or (self.read(call, f"{known['subnetId']}/{known['routeTableId']}", known) if known.get("subnetId") else None)
        if made is not None:
            find(self.session.client("ec2", known).disassociate_route_table, AssociationId=made.id)
