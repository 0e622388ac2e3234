"""The machine room: a spot VM is a process group of its own on its own loopback address."""
