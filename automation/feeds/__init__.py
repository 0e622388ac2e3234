"""Price feeds of the three clouds, the book that they fill, and the quarantine that guards it."""
