"""Guard rails of an AWS account that are settings of a region or of the account itself."""

from __future__ import annotations

import pulumi
import pulumi_aws as aws


class AccountDefaults(pulumi.ComponentResource):
    """New disks are encrypted, metadata takes session tokens only (IMDSv2), no bucket can be public; for whatever else is in the account, too.

    A destroy leaves them on. Example::

        AccountDefaults("defaults", account_id)
    """

    def __init__(self, name: str, account_id: pulumi.Input[str], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("spotlane:aws:AccountDefaults", name, None, opts)
        kept = pulumi.ResourceOptions(parent=self, retain_on_delete=True)
        # It stood at the stack's root under this name before there was a component.
        moved = pulumi.ResourceOptions(aliases=[pulumi.Alias(name="encryption", parent=pulumi.ROOT_STACK_RESOURCE)])
        aws.ebs.EncryptionByDefault(f"{name}-encryption", enabled=True, opts=pulumi.ResourceOptions.merge(kept, moved))
        aws.ec2.InstanceMetadataDefaults(f"{name}-metadata", http_tokens="required", http_put_response_hop_limit=1, opts=kept)
        aws.s3.AccountPublicAccessBlock(
            f"{name}-public-access",
            account_id=account_id,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=kept,
        )
        self.register_outputs({})
