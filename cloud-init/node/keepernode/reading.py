"""Check `userData` whole: every problem at once, each naming its field and what was expected."""

from __future__ import annotations

import re
from dataclasses import MISSING, fields
from enum import Enum
from typing import TYPE_CHECKING, TypeVar, cast

from keepernode.knobs import CniRelease, ConsulMode, FilesShare, KeystorePlace, Knobs, Peer, Ports, Role, SealKey, Told
from keepernode.problems import Misconfigured
from keepernode.shapes import Json, as_list, as_object, objects_of, parse_object

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SCHEMA = 1
HIGHEST_PORT = 65_535
_VERSION = re.compile(r"\d+\.\d+\.\d+(\+ent)?")
_NAME = re.compile(r"[A-Za-z0-9._-]{1,63}")
_HOST = re.compile(r"[A-Za-z0-9.-]{1,253}")
_SHARE = re.compile(r"(/[A-Za-z0-9._-]{1,63}){2}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def parse_user_data(text: str | bytes) -> Told:
    """Check the decoded `userData`; Misconfigured lists every problem at once and names each field."""
    given = parse_object(text, "userData")
    if given.get("schema") != SCHEMA:
        raise Misconfigured(
            f"userData has schema {given.get('schema')!r}; this program reads {SCHEMA}: deploy both together"
        )
    problems: list[str] = []
    role = _enum(Role, given.get("role"), "role", problems)
    values = _values(as_object(given.get("knobs"), "knobs"), problems)
    if not problems:
        problems += _contradictions(role or Role.CLIENT, knobs := Knobs(**values))  # pyright: ignore[reportArgumentType] - every value was made by its field's own reader
        if not problems:
            return Told(role or Role.CLIENT, knobs)
    raise Misconfigured("userData is wrong: " + "; ".join(problems) + "; correct the parameters and deploy again")


def camel(name: str) -> str:
    """Return the JSON name of a field."""
    head, *rest = name.split("_")
    return head + "".join(word.capitalize() for word in rest)


def _values(given: Json, problems: list[str]) -> Json:
    known = {camel(each.name): each for each in fields(Knobs)}
    problems += [f"{name} is not a knob" for name in sorted(set(given) - set(known))]
    values: Json = {}
    for json_name, each in known.items():
        value = given.get(json_name)
        if value is None:
            if each.default is MISSING and each.default_factory is MISSING:
                problems.append(f"{json_name} is missing")
            continue
        read = _READERS.get(each.name, _text)
        try:
            values[each.name] = read(value)
        except (ValueError, TypeError, KeyError) as exc:
            problems.append(f"{json_name} must be {exc.args[0] if exc.args else 'otherwise'}, not {value!r}")
    return values


def _contradictions(role: Role, knobs: Knobs) -> Iterator[str]:
    if not knobs.servers:
        yield "servers must name at least one server"
    if len(knobs.servers) % 2 == 0:
        yield f"servers must be an odd number, not {len(knobs.servers)}: an even one tolerates no more failures"
    if knobs.consul is ConsulMode.DEDICATED and not knobs.consul_servers:
        yield "consulServers must be given when consul is dedicated"
    if role is Role.SERVER and knobs.queue_url is None:
        yield "queueUrl must be given on servers, for the watcher"
    if knobs.federated_servers and knobs.authoritative_region is None:
        yield "authoritativeRegion must be given with federatedServers: one region owns the ACL policies of all"
    if role is Role.CONSUL and knobs.consul is not ConsulMode.DEDICATED:
        yield "role consul needs consul to be dedicated"


_E = TypeVar("_E", bound=Enum)


def _enum(kind: type[_E], value: object, name: str, problems: list[str]) -> _E | None:
    try:
        return kind(value)
    except ValueError:
        problems.append(f"{name} must be one of {', '.join(str(each.value) for each in kind)}, not {value!r}")
        return None


def _matching(pattern: re.Pattern[str], meant: str) -> Callable[[object], str]:
    def read(value: object) -> str:
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise ValueError(meant)
        return value

    return read


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("text")
    return value


def _whole(lowest: int, highest: int) -> Callable[[object], int]:
    def read(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value <= highest:
            raise ValueError(f"a whole number from {lowest} to {highest}")
        return value

    return read


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError("true or false")
    return value


def _peers(value: object) -> tuple[Peer, ...]:
    peers = tuple(Peer(str(each.get("name", "")), str(each.get("address", ""))) for each in objects_of(value))
    if not isinstance(value, list) or not all(_NAME.fullmatch(peer.name) and peer.address for peer in peers):
        raise ValueError("a list of {name, address}")
    return peers


def _seal(value: object) -> SealKey:
    given = cast("Json", value) if isinstance(value, dict) else {}
    try:
        return SealKey(_text(given["vaultName"]), _text(given["keyName"]), _text(given["tenantId"]))
    except (KeyError, TypeError):
        raise ValueError("{vaultName, keyName, tenantId}") from None


def _keystore(value: object) -> KeystorePlace:
    given = cast("Json", value) if isinstance(value, dict) else {}
    try:
        return KeystorePlace(_address(given["blobUrl"]), _address(given["keyUrl"]))
    except (KeyError, ValueError):
        raise ValueError("{blobUrl, keyUrl}, both https addresses") from None


def _share(value: object) -> FilesShare:
    given = cast("Json", value) if isinstance(value, dict) else {}
    share = FilesShare(str(given.get("host", "")), str(given.get("path", "")))
    if not _HOST.fullmatch(share.host) or not _SHARE.fullmatch(share.path):
        raise ValueError("{host, path}, such as account.file.core.windows.net and /account/share")
    return share


def _hosts(value: object) -> tuple[str, ...]:
    hosts = as_list(value)
    if not isinstance(value, list) or not all(isinstance(each, str) and _HOST.fullmatch(each) for each in hosts):
        raise ValueError("a list of names or addresses without a port")
    return tuple(map(str, hosts))


def _cni(value: object) -> CniRelease:
    given = cast("Json", value) if isinstance(value, dict) else {}
    made = CniRelease(str(given.get("version")), str(given.get("amd64", "")), str(given.get("arm64", "")))
    if not _VERSION.fullmatch(made.version) or not any(_SHA256.fullmatch(each) for each in (made.amd64, made.arm64)):
        raise ValueError("{version, amd64, arm64} with SHA-256 digests in hexadecimal")
    return made


def _meta(value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        raise TypeError("an object of texts")
    return {str(name): str(text) for name, text in cast("Json", value).items()}


def _ports(value: object) -> Ports:
    if not isinstance(value, dict):
        raise TypeError("an object of port numbers")
    given = cast("Json", value)
    chosen: dict[str, int] = {}
    for each in fields(Ports):
        port = given.get(camel(each.name), each.default)
        if not isinstance(port, int) or isinstance(port, bool) or not 0 < port <= HIGHEST_PORT:
            raise ValueError(f"port numbers ({camel(each.name)} is none)")
        chosen[each.name] = port
    return Ports(**chosen)


def _address(value: object) -> str:
    if not isinstance(value, str) or not value.startswith("https://"):
        raise ValueError("an https address")
    return value.rstrip("/")


_version = _matching(_VERSION, "a version such as 1.10.5")
_READERS: dict[str, Callable[[object], object]] = {
    "cluster": _matching(_NAME, "a short name"),
    "vault_url": _address,
    "queue_url": _address,
    "releases_url": _address,
    "cni_url": _address,
    "nomad_version": _version,
    "consul_version": _version,
    "vault_version": _version,
    "servers": _peers,
    "consul_servers": _peers,
    "consul": lambda value: ConsulMode(value) if value in set(ConsulMode) else _fail("colocated, dedicated or off"),
    "consul_mesh": _flag,
    "vault_seal": _seal,
    "keyring_key": _seal,
    "keystore": _keystore,
    "files_share": _share,
    "federated_servers": _hosts,
    "node_meta": _meta,
    "drain_deadline_seconds": _whole(1, 86_400),
    "client_introduction": _matching(re.compile("none|warn|strict"), "none, warn or strict"),
    "data_disk_lun": _whole(0, 63),
    "release_fingerprint": _matching(re.compile(r"[0-9A-F]{40}"), "40 hexadecimal digits in upper case"),
    "cni": _cni,
    "ports": _ports,
}


def _fail(meant: str) -> object:
    raise ValueError(meant)
