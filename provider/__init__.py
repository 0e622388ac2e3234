"""The Pulumi package ``spotlane``: the components for programs in every Pulumi language."""
