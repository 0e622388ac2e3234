"""What runs on a spot machine: its boot, its agent and the user data that carries them. ``boot`` and ``agent`` need only Ubuntu 24.04's own python3."""
