"""Launch templates and instances, on demand or spot."""

from __future__ import annotations

import base64
from typing import Any

from localcloud.providers.aws.resource import AwsHandler, given, one, tagged, tags_of
from localcloud.providers.aws.session import ask, find
from localcloud.providers.aws.shapes import pairs, parameters, properties
from localcloud.providers.faults import PartlyMade, Rejected
from localcloud.providers.ports import Call, Made
from localcloud.providers.values import Props

_TEMPLATE_DATA = """blockDeviceMappings capacityReservationSpecification cpuOptions creditSpecification disableApiStop disableApiTermination ebsOptimized
enclaveOptions hibernationOptions iamInstanceProfile imageId instanceInitiatedShutdownBehavior instanceMarketOptions instanceRequirements instanceType
kernelId keyName licenseSpecifications maintenanceOptions metadataOptions monitoring networkInterfaces placement privateDnsNameOptions ramDiskId
securityGroupNames tagSpecifications userData vpcSecurityGroupIds"""
_RENAMED = {"vpcSecurityGroupIds": "securityGroupIds", "securityGroupNames": "securityGroups"}
_TEXT_BOOLEANS = frozenset({"ebsOptimized", "encrypted", "deleteOnTermination", "associatePublicIpAddress", "associateCarrierIpAddress"})
"""Properties of a launch template that are booleans in the API and text in the provider, so that "unset" can be told."""


class LaunchTemplate(AwsHandler):
    """``aws:ec2/launchTemplate:LaunchTemplate``; every change of its data makes a new version."""

    FIELDS = "name namePrefix description defaultVersion updateDefaultVersion " + _TEMPLATE_DATA

    def create(self, call: Call, inputs: Props) -> Made:
        ec2 = self.session.client("ec2", inputs)
        name = inputs.get("name") or f"{inputs.get('namePrefix', 'terraform-')}{call.token[:26]}"
        arguments = {"LaunchTemplateName": name, "LaunchTemplateData": self._data(ec2, inputs), "ClientToken": call.token}
        arguments |= given(inputs, VersionDescription="description") | tagged("launch-template", inputs)
        made = ask(ec2.create_launch_template, **arguments)["LaunchTemplate"]
        return self.present(call, str(made["LaunchTemplateId"]), {**inputs, "name": name})

    def read(self, call: Call, id: str, known: Props) -> Made | None:
        ec2 = self.session.client("ec2", known)
        template = one(ec2.describe_launch_templates, "LaunchTemplates", LaunchTemplateIds=[id])
        if template is None:
            return None
        version = one(ec2.describe_launch_template_versions, "LaunchTemplateVersions", LaunchTemplateId=id, Versions=[str(template["LatestVersionNumber"])])
        back = {there: here for here, there in _RENAMED.items()}
        data = {back.get(name, name): _as_text(value, name) for name, value in properties(version["LaunchTemplateData"] if version else {}).items()}
        if "tagSpecifications" in data:  # the template's own tags are no part of its data, though moto shows them there
            data["tagSpecifications"] = [one for one in data["tagSpecifications"] if one.get("resourceType") != "launch-template"]
        return Made(
            id,
            {
                **data,
                "arn": self.session.arn("ec2", known, f"launch-template/{id}"),
                "name": template["LaunchTemplateName"],
                "namePrefix": known.get("namePrefix", ""),
                "defaultVersion": template["DefaultVersionNumber"],
                "latestVersion": template["LatestVersionNumber"],
                "description": (version or {}).get("VersionDescription"),
                **tags_of(template),
                **self.placed(known),
            },
        )

    def change(self, call: Call, id: str, known: Props, old: Props, new: Props) -> None:
        ec2 = self.session.client("ec2", known)
        names = [*_TEMPLATE_DATA.split(), "description"]
        if any(old.get(name) != new.get(name) for name in names):
            wanted = given(new, VersionDescription="description")
            version = ask(ec2.create_launch_template_version, LaunchTemplateId=id, LaunchTemplateData=self._data(ec2, new), **wanted)["LaunchTemplateVersion"]
            if new.get("updateDefaultVersion"):
                ask(ec2.modify_launch_template, LaunchTemplateId=id, DefaultVersion=str(version["VersionNumber"]))
        if new.get("defaultVersion") is not None and old.get("defaultVersion") != new["defaultVersion"]:
            ask(ec2.modify_launch_template, LaunchTemplateId=id, DefaultVersion=str(new["defaultVersion"]))

    def delete(self, call: Call, id: str, known: Props) -> None:
        find(self.session.client("ec2", known).delete_launch_template, LaunchTemplateId=id)

    @staticmethod
    def _data(ec2: Any, inputs: Props) -> Any:
        shape = ec2.meta.service_model.shape_for("RequestLaunchTemplateData")
        data = {_RENAMED.get(name, name): inputs[name] for name in _TEMPLATE_DATA.split() if inputs.get(name) is not None}
        return parameters(shape, data)


def _as_text(value: Any, name: str = "") -> Any:
    if isinstance(value, dict):
        return {key: _as_text(item, key) for key, item in value.items()}
    if isinstance(value, list):
        return [_as_text(item, name) for item in value]
    return str(value).lower() if name in _TEXT_BOOLEANS and isinstance(value, bool) else value


class Instance(AwsHandler):
    """``aws:ec2/instance:Instance``."""

    FIELDS = """ami instanceType availabilityZone subnetId vpcSecurityGroupIds securityGroups keyName iamInstanceProfile instanceMarketOptions launchTemplate
    userData userDataBase64 userDataReplaceOnChange associatePublicIpAddress privateIp ebsOptimized instanceInitiatedShutdownBehavior metadataOptions monitoring
    disableApiTermination disableApiStop rootBlockDevice ebsBlockDevices sourceDestCheck tenancy placementGroup volumeTags forceDestroy"""

    def create(self, call: Call, inputs: Props) -> Made:
        ec2 = self.session.client("ec2", inputs)
        answer = ask(ec2.run_instances, **self._launch(ec2, inputs), MinCount=1, MaxCount=1, ClientToken=call.token)
        id = str(answer["Instances"][0]["InstanceId"])
        try:
            call.poll(lambda: self._running(id, inputs))
        except Rejected as error:
            raise PartlyMade(id, inputs, str(error)) from error
        return self.present(call, id, inputs)

    def read(self, call: Call, id: str, known: Props) -> Made | None:
        item = self._describe(id, known)
        if item is None or item["State"]["Name"] in ("terminated", "shutting-down"):
            return None
        interface: Props = next((entry for entry in item.get("NetworkInterfaces", []) if entry.get("Attachment", {}).get("DeviceIndex") == 0), {})
        profile = item.get("IamInstanceProfile", {}).get("Arn", "").rpartition("/")[2]
        market = {"marketType": "spot"} if item.get("InstanceLifecycle") == "spot" else {}
        outputs: Props = {
            "arn": self.session.arn("ec2", known, f"instance/{id}"),
            "instanceType": item["InstanceType"],
            "availabilityZone": item["Placement"]["AvailabilityZone"],
            "tenancy": item["Placement"].get("Tenancy", "default"),
            "subnetId": item.get("SubnetId"),
            "vpcSecurityGroupIds": sorted(group["GroupId"] for group in item.get("SecurityGroups", [])),
            "keyName": item.get("KeyName"),
            "instanceState": item["State"]["Name"],
            "instanceLifecycle": item.get("InstanceLifecycle", ""),
            "spotInstanceRequestId": item.get("SpotInstanceRequestId", ""),
            "privateIp": item.get("PrivateIpAddress"),
            "privateDns": item.get("PrivateDnsName", ""),
            "publicIp": item.get("PublicIpAddress", ""),
            "publicDns": item.get("PublicDnsName", ""),
            "primaryNetworkInterfaceId": interface.get("NetworkInterfaceId", ""),
            "sourceDestCheck": item.get("SourceDestCheck", True),
            "ebsOptimized": item.get("EbsOptimized", False),
            "monitoring": item.get("Monitoring", {}).get("State") in ("enabled", "pending"),
            "outpostArn": item.get("OutpostArn", ""),
            "passwordData": "",
            **tags_of(item),
            **self.placed(known),
        }
        if not known or "ami" in known:
            outputs["ami"] = item["ImageId"]
        if profile or known.get("iamInstanceProfile"):
            outputs["iamInstanceProfile"] = profile or None
        if known.get("instanceMarketOptions"):
            outputs["instanceMarketOptions"] = {**known["instanceMarketOptions"], **market} if market else None
        return Made(id, outputs)

    def change(self, call: Call, id: str, known: Props, old: Props, new: Props) -> None:
        ec2 = self.session.client("ec2", known)
        changed = {name for name in set(old) | set(new) if old.get(name) != new.get(name)}
        if "vpcSecurityGroupIds" in changed and new.get("vpcSecurityGroupIds"):
            ask(ec2.modify_instance_attribute, InstanceId=id, Groups=new["vpcSecurityGroupIds"])
        if "sourceDestCheck" in changed:
            ask(ec2.modify_instance_attribute, InstanceId=id, SourceDestCheck={"Value": new.get("sourceDestCheck", True)})
        if "disableApiTermination" in changed:
            ask(ec2.modify_instance_attribute, InstanceId=id, DisableApiTermination={"Value": new.get("disableApiTermination", False)})
        if "metadataOptions" in changed and new.get("metadataOptions"):
            ask(ec2.modify_instance_metadata_options, InstanceId=id, **parameters(_input(ec2, "ModifyInstanceMetadataOptions"), new["metadataOptions"]))
        stopped: dict[str, Any] = {}
        if "instanceType" in changed and new.get("instanceType"):
            stopped["InstanceType"] = {"Value": new["instanceType"]}
        if {"userData", "userDataBase64"} & changed:
            stopped["UserData"] = {"Value": _user_data(new)}
        if stopped:
            self._while_stopped(call, id, known, stopped)

    def delete(self, call: Call, id: str, known: Props) -> None:
        ec2 = self.session.client("ec2", known)
        if known.get("disableApiTermination") and known.get("forceDestroy"):
            find(ec2.modify_instance_attribute, InstanceId=id, DisableApiTermination={"Value": False})
        if find(ec2.terminate_instances, InstanceIds=[id]) is not None:
            call.poll(lambda: self._state(id, known) in (None, "terminated"))

    def _launch(self, ec2: Any, inputs: Props) -> dict[str, Any]:
        launch: dict[str, Any] = given(
            inputs,
            ImageId="ami",
            InstanceType="instanceType",
            KeyName="keyName",
            EbsOptimized="ebsOptimized",
            InstanceInitiatedShutdownBehavior="instanceInitiatedShutdownBehavior",
            DisableApiTermination="disableApiTermination",
            DisableApiStop="disableApiStop",
        )
        shape = _input(ec2, "RunInstances")
        for name in ("instanceMarketOptions", "metadataOptions"):
            if inputs.get(name):
                launch.update(parameters(shape, {name: inputs[name]}))
        if template := inputs.get("launchTemplate"):
            names = {"id": "LaunchTemplateId", "name": "LaunchTemplateName", "version": "Version"}
            launch["LaunchTemplate"] = {parameter: str(template[name]) for name, parameter in names.items() if template.get(name)}
        if inputs.get("iamInstanceProfile"):
            launch["IamInstanceProfile"] = {"Name": inputs["iamInstanceProfile"]}
        if inputs.get("userData") or inputs.get("userDataBase64"):
            launch["UserData"] = _user_data(inputs)
        if inputs.get("monitoring") is not None:
            launch["Monitoring"] = {"Enabled": inputs["monitoring"]}
        if placement := given(inputs, AvailabilityZone="availabilityZone", Tenancy="tenancy", GroupName="placementGroup"):
            launch["Placement"] = placement
        if inputs.get("associatePublicIpAddress") is not None:
            interface: dict[str, Any] = {"DeviceIndex": 0, "AssociatePublicIpAddress": inputs["associatePublicIpAddress"], "DeleteOnTermination": True}
            interface |= given(inputs, SubnetId="subnetId", Groups="vpcSecurityGroupIds", PrivateIpAddress="privateIp")
            launch["NetworkInterfaces"] = [interface]
        else:
            launch |= given(inputs, SubnetId="subnetId", SecurityGroupIds="vpcSecurityGroupIds", SecurityGroups="securityGroups", PrivateIpAddress="privateIp")
        if disks := _disks(shape, inputs):
            launch["BlockDeviceMappings"] = disks
        specifications = tagged("instance", inputs).get("TagSpecifications", [])
        if inputs.get("volumeTags"):
            specifications = [*specifications, {"ResourceType": "volume", "Tags": pairs(inputs["volumeTags"])}]
        if specifications:
            launch["TagSpecifications"] = specifications
        return launch

    def _describe(self, id: str, props: Props) -> Any:
        reservation = one(self.session.client("ec2", props).describe_instances, "Reservations", InstanceIds=[id])
        return reservation["Instances"][0] if reservation else None

    def _state(self, id: str, props: Props) -> str | None:
        item = self._describe(id, props)
        return None if item is None else str(item["State"]["Name"])

    def _running(self, id: str, props: Props) -> bool:
        item = self._describe(id, props)
        state = item["State"]["Name"] if item else "pending"
        if state in ("terminated", "shutting-down", "stopped", "stopping"):
            reason = item.get("StateReason", {})
            raise Rejected(f"{id} is {state} instead of running: {reason.get('Message', 'no reason given')}", reason.get("Code", ""))
        return bool(state == "running")

    def _while_stopped(self, call: Call, id: str, props: Props, attributes: dict[str, Any]) -> None:
        ec2 = self.session.client("ec2", props)
        ask(ec2.stop_instances, InstanceIds=[id])
        call.poll(lambda: self._state(id, props) == "stopped")
        for name, value in attributes.items():
            ask(ec2.modify_instance_attribute, InstanceId=id, **{name: value})
        ask(ec2.start_instances, InstanceIds=[id])
        call.poll(lambda: self._running(id, props))


def _input(ec2: Any, operation: str) -> Any:
    return ec2.meta.service_model.operation_model(operation).input_shape


def _user_data(inputs: Props) -> bytes:
    """Not encoded: botocore does it for these calls."""
    if inputs.get("userDataBase64"):
        return base64.b64decode(inputs["userDataBase64"])
    return str(inputs.get("userData") or "").encode()


def _disks(shape: Any, inputs: Props) -> list[dict[str, Any]]:
    ebs_shape = shape.members["BlockDeviceMappings"].member.members["Ebs"]
    disks = []
    for device, name in [(inputs.get("rootBlockDevice"), "/dev/sda1"), *((device, "") for device in inputs.get("ebsBlockDevices") or [])]:
        if device:
            ebs = {key: value for key, value in device.items() if key not in ("deviceName", "tags", "tagsAll", "volumeId")}
            disks.append({"DeviceName": device.get("deviceName") or name, "Ebs": parameters(ebs_shape, {"deleteOnTermination": True, **ebs})})
    return disks
