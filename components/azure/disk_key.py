"""A tenant's own key for the disks of one region, in Key Vault."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi
from pulumi_azure_native import compute, keyvault, managedidentity

ROTATE_AFTER, EXPIRES_AFTER = "P90D", "P2Y"
SOFT_DELETE_DAYS = 7
"""The least that Key Vault allows; with purge protection, which disk encryption sets ask for, nobody can shorten it."""


@dataclass(frozen=True)
class DiskKeyArgs:
    """Arguments of :class:`DiskKey`."""

    resource_group_name: pulumi.Input[str]
    location: str
    directory_id: pulumi.Input[str]
    """The Entra directory of the subscription, whose identities the vault believes."""
    tags: Mapping[str, str] = field(default_factory=dict)


class DiskKey(pulumi.ComponentResource):
    """A vault with one key that rotates, and a disk encryption set that alone may wrap with it.

    A deleted vault's name stays taken for a week, so that it gets a fresh one each time that it is made (Pulumi's, with a random suffix). Example::

        key = DiskKey("disk-key", DiskKeyArgs(group, "westeurope", directory))
    """

    encryption_set_id: pulumi.Output[str]

    def __init__(self, name: str, args: DiskKeyArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("spotlane:azure:DiskKey", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        tags = dict(args.tags)
        identity = managedidentity.UserAssignedIdentity(
            f"{name}-identity", resource_group_name=args.resource_group_name, resource_name_="spotlane-disks", location=args.location, tags=tags, opts=child
        )
        vault = keyvault.Vault(
            f"{name}-vault",
            resource_group_name=args.resource_group_name,
            location=args.location,
            properties=keyvault.VaultPropertiesArgs(
                tenant_id=args.directory_id,
                sku=keyvault.SkuArgs(family="A", name="standard"),
                enable_rbac_authorization=False,
                enable_soft_delete=True,
                soft_delete_retention_in_days=SOFT_DELETE_DAYS,
                enable_purge_protection=True,
                public_network_access="disabled",
                network_acls=keyvault.NetworkRuleSetArgs(bypass="AzureServices", default_action="Deny"),
                # The encryption set's identity and nobody else, and that only what wrapping takes.
                access_policies=[
                    keyvault.AccessPolicyEntryArgs(
                        tenant_id=args.directory_id,
                        object_id=identity.principal_id,
                        permissions=keyvault.PermissionsArgs(keys=["get", "wrapKey", "unwrapKey"]),
                    )
                ],
            ),
            tags=tags,
            opts=child,
        )
        key = keyvault.Key(
            f"{name}-key",
            resource_group_name=args.resource_group_name,
            vault_name=vault.name,
            key_name="disks",
            properties=keyvault.KeyPropertiesArgs(
                kty="RSA",
                key_size=3072,
                key_ops=["wrapKey", "unwrapKey"],
                rotation_policy=keyvault.RotationPolicyArgs(
                    attributes=keyvault.KeyRotationPolicyAttributesArgs(expiry_time=EXPIRES_AFTER),
                    lifetime_actions=[
                        keyvault.LifetimeActionArgs(action=keyvault.ActionArgs(type="rotate"), trigger=keyvault.TriggerArgs(time_after_create=ROTATE_AFTER))
                    ],
                ),
            ),
            tags=tags,
            opts=child,
        )
        encryption = compute.DiskEncryptionSet(
            f"{name}-set",
            resource_group_name=args.resource_group_name,
            disk_encryption_set_name="spotlane-disks",
            location=args.location,
            encryption_type="EncryptionAtRestWithCustomerKey",
            identity=compute.EncryptionSetIdentityArgs(type="UserAssigned", user_assigned_identities=[identity.id]),
            active_key=compute.KeyForDiskEncryptionSetArgs(key_url=key.key_uri_with_version, source_vault=compute.SourceVaultArgs(id=vault.id)),
            rotation_to_latest_key_version_enabled=True,
            tags=tags,
            # The set keeps itself on the newest version of the key.
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["activeKey.keyUrl"]),
        )
        self.encryption_set_id = encryption.id
        self.register_outputs({"encryption_set_id": self.encryption_set_id})
