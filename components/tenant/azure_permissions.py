"""What the automation service may do in a tenant's Azure subscription: the operations that the region and placement stacks call, without a wildcard.

Names: Azure's "resource provider operations".
"""

from __future__ import annotations

_MADE = """
Microsoft.Compute/diskEncryptionSets Microsoft.Compute/disks Microsoft.Compute/virtualMachines Microsoft.KeyVault/vaults
Microsoft.ManagedIdentity/userAssignedIdentities Microsoft.Network/natGateways Microsoft.Network/networkInterfaces Microsoft.Network/networkSecurityGroups
Microsoft.Network/networkWatchers/flowLogs Microsoft.Network/publicIPAddresses Microsoft.Network/virtualNetworks Microsoft.Network/virtualNetworks/subnets
Microsoft.Resources/subscriptions/resourceGroups Microsoft.Storage/storageAccounts
"""
_ALSO = """
Microsoft.Compute/locations/operations/read Microsoft.Compute/locations/usages/read Microsoft.Compute/skus/read
Microsoft.KeyVault/locations/operationResults/read Microsoft.KeyVault/vaults/keys/read
Microsoft.KeyVault/vaults/keys/write Microsoft.ManagedIdentity/userAssignedIdentities/assign/action Microsoft.Network/locations/operationResults/read
Microsoft.Network/locations/operations/read Microsoft.Network/natGateways/join/action Microsoft.Network/networkInterfaces/join/action
Microsoft.Network/networkSecurityGroups/join/action Microsoft.Network/networkWatchers/configureFlowLog/action Microsoft.Network/networkWatchers/read
Microsoft.Network/publicIPAddresses/join/action Microsoft.Network/virtualNetworks/subnets/join/action Microsoft.Resources/subscriptions/operationresults/read
Microsoft.Resources/subscriptions/resources/read Microsoft.Storage/storageAccounts/listAccountSas/action Microsoft.Storage/storageAccounts/listServiceSas/action
"""
"""Of the last two: whoever sets up flow logs needs them (Network Watcher, "Azure RBAC permissions")."""

AUTOMATION_ACTIONS: tuple[str, ...] = tuple(sorted([f"{kind}/{verb}" for kind in _MADE.split() for verb in ("delete", "read", "write")] + _ALSO.split()))
