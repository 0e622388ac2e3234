"""VPC endpoints and flow logs."""

from __future__ import annotations

import json

from localcloud.providers.aws.resource import AwsHandler, given, one, tagged, tags_of
from localcloud.providers.aws.session import ask, find
from localcloud.providers.faults import Rejected
from localcloud.providers.ports import Call, Made
from localcloud.providers.values import Props

_SETS = {"routeTableIds": "RouteTableIds", "subnetIds": "SubnetIds", "securityGroupIds": "SecurityGroupIds"}


class VpcEndpoint(AwsHandler):
    """``aws:ec2/vpcEndpoint:VpcEndpoint``: gateway and interface endpoints."""

    FIELDS = "vpcId serviceName vpcEndpointType policy privateDnsEnabled routeTableIds subnetIds securityGroupIds"

    def create(self, call: Call, inputs: Props) -> Made:
        ec2 = self.session.client("ec2", inputs)
        wanted = given(
            inputs,
            VpcId="vpcId",
            ServiceName="serviceName",
            VpcEndpointType="vpcEndpointType",
            PolicyDocument="policy",
            PrivateDnsEnabled="privateDnsEnabled",
            **{parameter: name for name, parameter in _SETS.items()},
        )
        id = str(ask(ec2.create_vpc_endpoint, ClientToken=call.token, **wanted, **tagged("vpc-endpoint", inputs))["VpcEndpoint"]["VpcEndpointId"])
        call.poll(lambda: self._state(id, inputs) == "available")
        return self.present(call, id, inputs)

    def _state(self, id: str, props: Props) -> str:
        item = one(self.session.client("ec2", props).describe_vpc_endpoints, "VpcEndpoints", VpcEndpointIds=[id])
        state = str(item["State"]).lower() if item else "deleted"
        if state in ("failed", "rejected"):
            raise Rejected(f"{id} is {state}")
        return state

    def read(self, call: Call, id: str, known: Props) -> Made | None:
        item = one(self.session.client("ec2", known).describe_vpc_endpoints, "VpcEndpoints", VpcEndpointIds=[id])
        if item is None or str(item["State"]).lower() in ("deleted", "deleting"):
            return None
        outputs = {
            "arn": self.session.arn("ec2", known, f"vpc-endpoint/{id}"),
            "vpcId": item["VpcId"],
            "serviceName": item["ServiceName"],
            "vpcEndpointType": item.get("VpcEndpointType", "Gateway"),
            "state": str(item["State"]).lower(),
            "privateDnsEnabled": item.get("PrivateDnsEnabled", False),
            "routeTableIds": item.get("RouteTableIds", []),
            "subnetIds": item.get("SubnetIds", []),
            "securityGroupIds": [group["GroupId"] for group in item.get("Groups", [])],
            "networkInterfaceIds": item.get("NetworkInterfaceIds", []),
            "dnsEntries": [{"dnsName": entry.get("DnsName"), "hostedZoneId": entry.get("HostedZoneId")} for entry in item.get("DnsEntries", [])],
            "ownerId": item.get("OwnerId", self.session.account),
            "requesterManaged": item.get("RequesterManaged", False),
        }
        if item.get("PolicyDocument"):
            outputs["policy"] = item["PolicyDocument"]
        return Made(id, {**outputs, **tags_of(item), **self.placed(known)})

    def change(self, call: Call, id: str, known: Props, old: Props, new: Props) -> None:
        wanted = {}
        for name, parameter in _SETS.items():
            before, after = set(old.get(name) or []), set(new.get(name) or [])
            if before - after:
                wanted[f"Remove{parameter}"] = sorted(before - after)
            if after - before:
                wanted[f"Add{parameter}"] = sorted(after - before)
        changed = {name for name in ("policy", "privateDnsEnabled") if old.get(name) != new.get(name)}
        wanted |= given({name: new.get(name) for name in changed}, PolicyDocument="policy", PrivateDnsEnabled="privateDnsEnabled")
        if wanted:
            ask(self.session.client("ec2", known).modify_vpc_endpoint, VpcEndpointId=id, **wanted)

    def delete(self, call: Call, id: str, known: Props) -> None:
        if find(self.session.client("ec2", known).delete_vpc_endpoints, VpcEndpointIds=[id]) is not None:
            call.poll(lambda: self.read(call, id, known) is None)


class FlowLog(AwsHandler):
    """``aws:ec2/flowLog:FlowLog``."""

    FIELDS = "vpcId subnetId eniId trafficType logDestination logDestinationType logFormat iamRoleArn maxAggregationInterval"

    def create(self, call: Call, inputs: Props) -> Made:
        ec2 = self.session.client("ec2", inputs)
        kinds = {"vpcId": "VPC", "subnetId": "Subnet", "eniId": "NetworkInterface"}
        name = next((name for name in kinds if inputs.get(name)), None)
        if name is None:
            raise Rejected("one of vpcId, subnetId and eniId is needed")
        wanted = given(
            inputs,
            TrafficType="trafficType",
            LogDestination="logDestination",
            LogDestinationType="logDestinationType",
            LogFormat="logFormat",
            DeliverLogsPermissionArn="iamRoleArn",
            MaxAggregationInterval="maxAggregationInterval",
        )
        answer = ask(ec2.create_flow_logs, ResourceIds=[inputs[name]], ResourceType=kinds[name], **wanted, **tagged("vpc-flow-log", inputs))
        if answer.get("Unsuccessful"):
            raise Rejected(json.dumps(answer["Unsuccessful"][0].get("Error", {})))
        return self.present(call, str(answer["FlowLogIds"][0]), inputs)

    def read(self, call: Call, id: str, known: Props) -> Made | None:
        item = one(self.session.client("ec2", known).describe_flow_logs, "FlowLogs", FlowLogIds=[id])
        if item is None:
            return None
        outputs = {
            "arn": self.session.arn("ec2", known, f"vpc-flow-log/{id}"),
            "trafficType": item.get("TrafficType"),
            "logDestination": item.get("LogDestination"),
            "logDestinationType": item.get("LogDestinationType"),
            "logFormat": item.get("LogFormat"),
            "maxAggregationInterval": item.get("MaxAggregationInterval"),
        }
        return Made(id, {**outputs, **tags_of(item), **self.placed(known)})

    def delete(self, call: Call, id: str, known: Props) -> None:
        find(self.session.client("ec2", known).delete_flow_logs, FlowLogIds=[id])
