"""CrossGuard packs: a Pulumi resource becomes a call, the boundary decides. ``boundary`` (an executable file) is the pack."""
