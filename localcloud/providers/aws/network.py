"""VPCs and what stands directly in them: subnets, internet and NAT gateways, addresses."""

from __future__ import annotations

from localcloud.providers.aws.resource import AwsHandler, given, one, tagged, tags_of
from localcloud.providers.aws.session import ask, find
from localcloud.providers.faults import Rejected
from localcloud.providers.ports import Call, Made
from localcloud.providers.values import Props


class Vpc(AwsHandler):
    """``aws:ec2/vpc:Vpc``."""

    FIELDS = "cidrBlock enableDnsHostnames enableDnsSupport instanceTenancy assignGeneratedIpv6CidrBlock"

    def create(self, call: Call, inputs: Props) -> Made:
        ec2 = self.session.client("ec2", inputs)
        wanted = given(inputs, CidrBlock="cidrBlock", InstanceTenancy="instanceTenancy", AmazonProvidedIpv6CidrBlock="assignGeneratedIpv6CidrBlock")
        id = str(ask(ec2.create_vpc, **wanted, **tagged("vpc", inputs))["Vpc"]["VpcId"])
        return self.finished(call, id, inputs, lambda: self._dns(id, inputs))

    def read(self, call: Call, id: str, known: Props) -> Made | None:
        ec2 = self.session.client("ec2", known)
        vpc = one(ec2.describe_vpcs, "Vpcs", VpcIds=[id])
        if vpc is None:
            return None
        in_vpc = [{"Name": "vpc-id", "Values": [id]}]
        tables = ask(ec2.describe_route_tables, Filters=in_vpc)["RouteTables"]
        main = next((table["RouteTableId"] for table in tables if any(link.get("Main") for link in table["Associations"])), None)
        acl = one(ec2.describe_network_acls, "NetworkAcls", Filters=[*in_vpc, {"Name": "default", "Values": ["true"]}])
        group = one(ec2.describe_security_groups, "SecurityGroups", Filters=[*in_vpc, {"Name": "group-name", "Values": ["default"]}])
        hostnames = ask(ec2.describe_vpc_attribute, VpcId=id, Attribute="enableDnsHostnames")["EnableDnsHostnames"]["Value"]
        support = ask(ec2.describe_vpc_attribute, VpcId=id, Attribute="enableDnsSupport")["EnableDnsSupport"]["Value"]
        return Made(
            id,
            {
                "arn": self.session.arn("ec2", known, f"vpc/{id}"),
                "cidrBlock": vpc["CidrBlock"],
                "instanceTenancy": vpc.get("InstanceTenancy", "default"),
                "enableDnsHostnames": hostnames,
                "enableDnsSupport": support,
                "dhcpOptionsId": vpc.get("DhcpOptionsId"),
                "ownerId": vpc.get("OwnerId", self.session.account),
                "mainRouteTableId": main,
                "defaultRouteTableId": main,
                "defaultNetworkAclId": acl and acl["NetworkAclId"],
                "defaultSecurityGroupId": group and group["GroupId"],
                **tags_of(vpc),
                **self.placed(known),
            },
        )

    def change(self, call: Call, id: str, known: Props, old: Props, new: Props) -> None:
        if old.get("instanceTenancy") != new.get("instanceTenancy"):
            ask(self.session.client("ec2", known).modify_vpc_tenancy, VpcId=id, InstanceTenancy="default")
        self._dns(id, {**known, **new})

    def delete(self, call: Call, id: str, known: Props) -> None:
        find(self.session.client("ec2", known).delete_vpc, VpcId=id)

    def _dns(self, id: str, inputs: Props) -> None:
        ec2 = self.session.client("ec2", inputs)
        for parameter, name, default in (("EnableDnsSupport", "enableDnsSupport", True), ("EnableDnsHostnames", "enableDnsHostnames", False)):
            value = default if inputs.get(name) is None else inputs[name]
            ask(ec2.modify_vpc_attribute, VpcId=id, **{parameter: {"Value": value}})


class Subnet(AwsHandler):
    """``aws:ec2/subnet:Subnet``."""

    FIELDS = "vpcId cidrBlock availabilityZone availabilityZoneId mapPublicIpOnLaunch"

    def create(self, call: Call, inputs: Props) -> Made:
        ec2 = self.session.client("ec2", inputs)
        wanted = given(inputs, VpcId="vpcId", CidrBlock="cidrBlock", AvailabilityZone="availabilityZone", AvailabilityZoneId="availabilityZoneId")
        id = str(ask(ec2.create_subnet, **wanted, **tagged("subnet", inputs))["Subnet"]["SubnetId"])
        return self.finished(call, id, inputs, *([lambda: self._public(id, inputs)] if inputs.get("mapPublicIpOnLaunch") else []))

    def read(self, call: Call, id: str, known: Props) -> Made | None:
        subnet = one(self.session.client("ec2", known).describe_subnets, "Subnets", SubnetIds=[id])
        if subnet is None:
            return None
        return Made(
            id,
            {
                "arn": subnet.get("SubnetArn") or self.session.arn("ec2", known, f"subnet/{id}"),
                "vpcId": subnet["VpcId"],
                "cidrBlock": subnet["CidrBlock"],
                "availabilityZone": subnet["AvailabilityZone"],
                "availabilityZoneId": subnet.get("AvailabilityZoneId"),
                "mapPublicIpOnLaunch": subnet.get("MapPublicIpOnLaunch", False),
                "ownerId": subnet.get("OwnerId", self.session.account),
                **tags_of(subnet),
                **self.placed(known),
            },
        )

    def change(self, call: Call, id: str, known: Props, old: Props, new: Props) -> None:
        self._public(id, {**known, "mapPublicIpOnLaunch": new.get("mapPublicIpOnLaunch", False)})

    def delete(self, call: Call, id: str, known: Props) -> None:
        find(self.session.client("ec2", known).delete_subnet, SubnetId=id)

    def _public(self, id: str, props: Props) -> None:
        ask(self.session.client("ec2", props).modify_subnet_attribute, SubnetId=id, MapPublicIpOnLaunch={"Value": bool(props.get("mapPublicIpOnLaunch"))})


class InternetGateway(AwsHandler):
    """``aws:ec2/internetGateway:InternetGateway``, attached to a VPC where one is named."""

    FIELDS = "vpcId"

    def create(self, call: Call, inputs: Props) -> Made:
        ec2 = self.session.client("ec2", inputs)
        id = str(ask(ec2.create_internet_gateway, **tagged("internet-gateway", inputs))["InternetGateway"]["InternetGatewayId"])
        vpc = inputs.get("vpcId")
        return self.finished(call, id, inputs, *([lambda: ask(ec2.attach_internet_gateway, InternetGatewayId=id, VpcId=vpc)] if vpc else []))

    def read(self, call: Call, id: str, known: Props) -> Made | None:
        gateway = one(self.session.client("ec2", known).describe_internet_gateways, "InternetGateways", InternetGatewayIds=[id])
        if gateway is None:
            return None
        vpc = next((link["VpcId"] for link in gateway.get("Attachments", [])), None)
        owner = gateway.get("OwnerId", self.session.account)
        arn = self.session.arn("ec2", known, f"internet-gateway/{id}")
        return Made(id, {"arn": arn, "vpcId": vpc, "ownerId": owner, **tags_of(gateway), **self.placed(known)})

    def change(self, call: Call, id: str, known: Props, old: Props, new: Props) -> None:
        ec2 = self.session.client("ec2", known)
        if old.get("vpcId") != new.get("vpcId"):
            if old.get("vpcId"):
                find(ec2.detach_internet_gateway, InternetGatewayId=id, VpcId=old["vpcId"])
            if new.get("vpcId"):
                ask(ec2.attach_internet_gateway, InternetGatewayId=id, VpcId=new["vpcId"])

    def delete(self, call: Call, id: str, known: Props) -> None:
        ec2 = self.session.client("ec2", known)
        if known.get("vpcId"):
            find(ec2.detach_internet_gateway, InternetGatewayId=id, VpcId=known["vpcId"])
        find(ec2.delete_internet_gateway, InternetGatewayId=id)


class Eip(AwsHandler):
    """``aws:ec2/eip:Eip``, in VPCs only (EC2-Classic is gone)."""

    FIELDS = "domain publicIpv4Pool networkBorderGroup"

    def create(self, call: Call, inputs: Props) -> Made:
        ec2 = self.session.client("ec2", inputs)
        wanted = given(inputs, PublicIpv4Pool="publicIpv4Pool", NetworkBorderGroup="networkBorderGroup")
        id = str(ask(ec2.allocate_address, Domain=inputs.get("domain", "vpc"), **wanted, **tagged("elastic-ip", inputs))["AllocationId"])
        return self.present(call, id, inputs)

    def read(self, call: Call, id: str, known: Props) -> Made | None:
        ec2 = self.session.client("ec2", known)
        address = one(ec2.describe_addresses, "Addresses", AllocationIds=[id])
        if address is None:
            return None
        public = address["PublicIp"]
        zone = "compute-1" if self.session.region_of(known) == "us-east-1" else f"{self.session.region_of(known)}.compute"
        return Made(
            id,
            {
                "allocationId": id,
                "arn": self.session.arn("ec2", known, f"elastic-ip/{id}"),
                "domain": address.get("Domain", "vpc"),
                "publicIp": public,
                "publicDns": f"ec2-{public.replace('.', '-')}.{zone}.amazonaws.com",
                "associationId": address.get("AssociationId"),
                "privateIp": address.get("PrivateIpAddress"),
                "publicIpv4Pool": address.get("PublicIpv4Pool", "amazon"),
                "networkBorderGroup": address.get("NetworkBorderGroup", self.session.region_of(known)),
                **tags_of(address),
                **self.placed(known),
            },
        )

    def delete(self, call: Call, id: str, known: Props) -> None:
        find(self.session.client("ec2", known).release_address, AllocationId=id)


class NatGateway(AwsHandler):
    """``aws:ec2/natGateway:NatGateway``, zonal."""

    FIELDS = "allocationId subnetId connectivityType privateIp"

    def create(self, call: Call, inputs: Props) -> Made:
        ec2 = self.session.client("ec2", inputs)
        wanted = given(inputs, AllocationId="allocationId", SubnetId="subnetId", ConnectivityType="connectivityType", PrivateIpAddress="privateIp")
        id = str(ask(ec2.create_nat_gateway, ClientToken=call.token, **wanted, **tagged("natgateway", inputs))["NatGateway"]["NatGatewayId"])
        call.poll(lambda: self._available(id, inputs))
        return self.present(call, id, inputs)

    def _available(self, id: str, props: Props) -> bool:
        gateway = one(self.session.client("ec2", props).describe_nat_gateways, "NatGateways", NatGatewayIds=[id])
        if gateway is not None and gateway["State"] == "failed":
            raise Rejected(f"{id}: {gateway.get('FailureMessage', 'failed')}", gateway.get("FailureCode", ""))
        return gateway is not None and gateway["State"] == "available"

    def read(self, call: Call, id: str, known: Props) -> Made | None:
        gateway = one(self.session.client("ec2", known).describe_nat_gateways, "NatGateways", NatGatewayIds=[id])
        if gateway is None or gateway["State"] in ("deleted", "deleting", "failed"):
            return None
        address: Props = next(iter(gateway.get("NatGatewayAddresses", [])), {})
        return Made(
            id,
            {
                "subnetId": gateway["SubnetId"],
                "connectivityType": gateway.get("ConnectivityType", "public"),
                "allocationId": address.get("AllocationId"),
                "associationId": address.get("AssociationId"),
                "networkInterfaceId": address.get("NetworkInterfaceId"),
                "publicIp": address.get("PublicIp"),
                "privateIp": address.get("PrivateIp"),
                **tags_of(gateway),
                **self.placed(known),
            },
        )

    def delete(self, call: Call, id: str, known: Props) -> None:
        if find(self.session.client("ec2", known).delete_nat_gateway, NatGatewayId=id) is not None:
            call.poll(lambda: self.read(call, id, known) is None)
