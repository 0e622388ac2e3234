"""Azure resources through Resource Manager (ARM), as pulumi-azure-native does: one PUT a resource."""
