"""What is asked of a Consul server, step by step, whether it is recorded, or compared with what was recorded.

A step that needs an archive takes the server's own, as it was saved just before.
"""

from dataclasses import dataclass, field

from lab.archives import gzip_of, tar_of
from lab.consul.server import MANAGEMENT
from lab.damage import members_of

TOKENS = {
    "management": MANAGEMENT,
    "backup": "11111111-0000-4000-8000-00000000000b",
    "reader": "11111111-0000-4000-8000-00000000000e",
    "nobody": "11111111-0000-4000-8000-00000000000f",
    "unknown": "11111111-0000-4000-8000-0000deadbeef",
    "none": "",
}
READ = " ".join(f'{kind}_prefix "" {{ policy = "read" }}' for kind in ("agent", "key", "node", "service", "session"))
RULES = {"backup": 'acl = "write"', "reader": f'acl = "read" {READ}', "nobody": ""}
COUNTED = (
    *("catalog/nodes", "catalog/services", "session/list", "kv/?keys"),
    *("acl/tokens", "acl/policies", "acl/roles", "acl/auth-methods"),
)
PUBLIC_KEY = """-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEQ7S0E/dGvSDNP0sJxA1A6VeLwCvv
ntVcEfTaNlN7C71mD7f6TLSIfp7tGbOz2Y/xpNrUb/ZFdUkKPnDgzmTelw==
-----END PUBLIC KEY-----
"""


@dataclass(frozen=True, slots=True)
class Step:
    """One request. `archive` names one of `archives`, sent as the body."""

    method: str
    path: str
    who: str = "management"
    body: object = None
    archive: str = ""
    headers: dict[str, str] = field(default_factory=dict)


def token(name: str) -> dict[str, object]:
    accessor = TOKENS[name].replace("11111111", "22222222")
    return {"AccessorID": accessor, "SecretID": TOKENS[name], "Policies": [{"Name": name}], "Description": name}


SETUP = (
    *(Step("PUT", "acl/policy", body={"Name": name, "Rules": rules}) for name, rules in RULES.items()),
    *(Step("PUT", "acl/token", body=token(name)) for name in RULES),
    Step(
        "PUT",
        "acl/auth-method",
        body={"Name": "workloads", "Type": "jwt", "Config": {"JWTValidationPubKeys": [PUBLIC_KEY]}},
    ),
    Step("PUT", "kv/app/one", body="1"),
    Step("PUT", "kv/app/two", body="2"),
    Step("PUT", "session/create", body={"Node": "consul-0", "Name": "lock", "TTL": "3600s"}),
)
"""Makes the state that all else is asked of."""

RIGHTS = (
    *(Step("GET", f"status/{what}", who) for what in ("leader", "peers") for who in ("management", "none", "unknown")),
    *(Step("GET", f"agent/{what}", who) for what in ("members", "self") for who in TOKENS),
    *(Step("GET", path, who) for path in COUNTED for who in TOKENS),
    *(Step("GET", "kv/app/one?raw", who) for who in ("reader", "nobody", "unknown", "none")),
    *(Step("PUT", "kv/app/one", who, body="3") for who in ("reader", "backup", "none")),
    Step("GET", "kv/app/?keys"),
    Step("GET", "kv/nothing?keys"),
    Step("GET", "kv/nothing?raw"),
    Step("GET", "acl/token/self", "backup"),
    *(Step("GET", "snapshot", who) for who in TOKENS),
    Step("GET", "snapshot?stale"),
    Step("GET", "snapshot?stale", "reader"),
    Step("GET", "snapshot?dc=nowhere"),
    Step("DELETE", "snapshot"),
    Step("POST", "snapshot", archive="sound"),
    Step("GET", "operator/snapshot"),
    Step("GET", "snapshots"),
)
"""Who may see what, and where nothing is."""

RESTORE = (
    *(Step("PUT", "snapshot", who, archive="sound") for who in ("none", "unknown", "nobody", "reader")),
    *(
        Step("PUT", "snapshot", archive=how)
        for how in (
            *("empty", "a picture", "text", "a page", "half", "without its last bytes", "without its last byte"),
            *("with a byte behind it", "with text behind it", "twice", "with a wrong CRC"),
            *("state changed", "meta changed", "without state", "without meta", "without sums", "with a stranger"),
            *("state under a path", "padded as other programs do"),
        )
    ),
    Step("GET", "kv/?keys"),
    Step("PUT", "kv/app/later", body="4"),
    Step("PUT", "snapshot", "backup", archive="sound"),
    Step("GET", "kv/?keys"),
    Step("GET", "acl/token/self", "reader"),
    *(Step("GET", path) for path in COUNTED),
    Step("PUT", "acl/bootstrap", "none"),
)
"""What is restored, what is not, and in which words; and what is there afterwards."""

NO_LEADER = (
    Step("GET", "status/leader"),
    Step("GET", "status/peers"),
    Step("GET", "snapshot"),
    Step("PUT", "snapshot", archive="a picture"),
)
"""Asked of a server that waits for others."""

SCRIPTS = {"rights": RIGHTS, "restore": RESTORE}


def archives(sound: bytes) -> dict[str, bytes]:
    """Archives by name: the sound one, and what else may be taken for one."""
    found = members_of(sound)
    meta, state, sums = (found[name] for name in ("meta.json", "state.bin", "SHA256SUMS"))
    whole = [("meta.json", meta), ("state.bin", state), ("SHA256SUMS", sums)]
    changed = bytes([state[0] ^ 1]) + state[1:]

    def packed(*members: tuple[str, bytes], end: bytes = bytes(1024)) -> bytes:
        return gzip_of(tar_of(members, end=end))

    return {
        "sound": sound,
        "empty": b"",
        "a picture": b"GIF89a",
        "text": b"This is no snapshot.",
        "a page": b"<!DOCTYPE html><html></html>",
        "half": sound[: len(sound) // 2],
        "without its last bytes": sound[:-9],
        "without its last byte": sound[:-1],
        "with a byte behind it": sound + b"\0",
        "with text behind it": sound + b"This is no snapshot.",
        "twice": sound + sound,
        "with a wrong CRC": sound[:-8] + bytes(4) + sound[-4:],
        "state changed": packed(whole[0], ("state.bin", changed), whole[2]),
        "meta changed": packed(("meta.json", meta + b" "), *whole[1:]),
        "without state": packed(whole[0], whole[2]),
        "without meta": packed(*whole[1:]),
        "without sums": packed(*whole[:2]),
        "with a stranger": packed(*whole, ("stranger", b"hello")),
        "state under a path": packed(whole[0], ("./state.bin", state), whole[2]),
        "padded as other programs do": packed(*whole, end=bytes(10240 - 512)),
    }
