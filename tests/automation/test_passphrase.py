"""Secrets as the engine's passphrase provider writes them: its own salts are understood, a wrong passphrase shows, nothing is guessed."""

from __future__ import annotations

from pathlib import Path

import pytest

from automation.runs.passphrase import Crypter, Passphrase

PHRASE = "correct horse battery staple"
SALT = "v1:c3BvdGxhbmU=:v1:AAECAwQFBgcICQoL:4eKP1XszyvoPeQmOuSKEf/0k/OXdvA=="
"""What the engine writes for this passphrase and the salt "spotlane", with the nonce 0..11 (its own would be random)."""


def test_a_secret_comes_back_under_the_same_passphrase() -> None:
    crypter = Passphrase({"PULUMI_CONFIG_PASSPHRASE": PHRASE}).crypter(SALT)
    assert crypter is not None
    secret = crypter.encrypt("placement-token")
    assert secret.startswith("v1:") and "placement-token" not in secret
    assert crypter.decrypt(secret) == b"placement-token"


def test_a_passphrase_file_is_read_without_its_last_newline(tmp_path: Path) -> None:
    file = tmp_path / "passphrase"
    file.write_text(PHRASE + "\n")
    assert Passphrase({"PULUMI_CONFIG_PASSPHRASE_FILE": str(file)}).crypter(SALT) is not None


@pytest.mark.parametrize(
    "environment",
    [{}, {"PULUMI_CONFIG_PASSPHRASE": "another"}, {"PULUMI_CONFIG_PASSPHRASE_FILE": "/nowhere"}],
    ids=["none", "another", "no file"],
)
def test_without_the_stacks_passphrase_there_is_no_crypter(environment: dict[str, str]) -> None:
    assert Passphrase(environment).crypter(SALT) is None


@pytest.mark.parametrize("salt", ["", "v2:c3BvdGxhbmU=:v1:x:y", "v1:not base64:v1:x:y"])
def test_a_salt_of_another_form_is_left_to_the_engine(salt: str) -> None:
    assert Passphrase({"PULUMI_CONFIG_PASSPHRASE": PHRASE}).crypter(salt) is None


def test_a_secret_of_another_key_is_refused() -> None:
    with pytest.raises(ValueError, match="another key"):
        Crypter(bytes(32)).decrypt(Crypter(bytes([1]) * 32).encrypt("x"))
