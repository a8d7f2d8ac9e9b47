"""The root keys of the stand-in as files, as a real server before 1.9 has them in `data_dir/server/keystore`.

The model encrypts nothing, so the keys in the files are random; what counts is which of them are there.
"""

from __future__ import annotations

import base64
import json
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from lab.nomad.keyrings import RootKeyring

SUFFIX = ".nks.json"


def write_keys(keyring: RootKeyring, directory: Path) -> None:
    """Write a file for each key that has none."""
    directory.mkdir(parents=True, exist_ok=True)
    for ident in keyring.keystore:
        path = directory / f"{ident}{SUFFIX}"
        if not path.exists():
            body = {
                "Meta": {"KeyID": ident, "Algorithm": "aes256-gcm", "State": "active"},
                "DEK": base64.b64encode(os.urandom(60)).decode(),
                "KEK": base64.b64encode(os.urandom(32)).decode(),
            }
            path.write_text(json.dumps(body, separators=(",", ":")))


def read_keys(keyring: RootKeyring, directory: Path) -> None:
    """Take every key of the folder, as a server does when it starts."""
    keyring.keystore |= {path.name.removesuffix(SUFFIX) for path in directory.glob(f"*{SUFFIX}")}
