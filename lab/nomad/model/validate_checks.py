"""The first problem of a service's check, in Nomad's words: a check has one at a time."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from lab.nomad.model.errors import multierror
from lab.nomad.model.times import SECOND, go_duration

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.nomad.model.store import Record

_WITH_PORT = frozenset({"grpc", "http", "tcp"})
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE"})


def needs_port(check: Record) -> bool:
    """Answer whether a check is made at a port."""
    return check["Type"] in _WITH_PORT


def check_problem(check: Record, *, consul: bool) -> str:
    """Answer the first problem of a check, "" when there is none."""
    own = _consul(check) if consul else _nomad(check)
    return next(chain(_common(check, consul=consul), own), "")


def _common(check: Record, *, consul: bool) -> Iterator[str]:
    kind = check["Type"].lower()
    kinds = ["grpc", "tcp", "http", "script"] if consul else ["tcp", "http"]
    if kind not in kinds:
        yield f'invalid check type ("{kind}"), must be one of {", ".join(kinds)}'
    if kind == "http" and not check["Path"]:
        yield "http type must have http path"
    elif kind == "http" and urlsplit(check["Path"]).scheme:
        yield "http type must have relative http path"
    if kind == "script" and not check["Command"]:
        yield "script type must have a valid script path"
    yield from _times(check)
    yield from _words(check)
    yield from _restart(check)


def _times(check: Record) -> Iterator[str]:
    for key, what in (("Interval", "cannot be lower than"), ("Timeout", "is lower than required minimum timeout")):
        if check[key] == 0:
            yield f"missing required value {key.lower()}. {key} cannot be less than 1s"
        elif check[key] < SECOND:
            yield f"{key.lower()} ({go_duration(check[key])}) {what} 1s"


def _words(check: Record) -> Iterator[str]:
    status, mode, update = check["InitialStatus"], check["AddressMode"], check["OnUpdate"]
    if status not in {"", "passing", "warning", "critical"}:
        yield f'invalid initial check state ({status}), must be one of "passing", "warning", "critical" or empty'
    if mode == "auto":
        yield 'invalid address_mode "auto" - auto only valid for services'
    elif mode not in {"", "host", "driver", "alloc"}:
        yield f'invalid address_mode "{mode}"'
    if update not in {"", "ignore", "require_healthy", "ignore_warnings"}:
        yield f'on_update must be "require_healthy", "ignore_warnings", or "ignore"; got "{update}"'


def _restart(check: Record) -> Iterator[str]:
    restart = check["CheckRestart"]
    if restart is None:
        return
    if check["OnUpdate"] == "ignore":
        yield 'on_update value "ignore" is not compatible with check_restart'
    if not restart["IgnoreWarnings"] and check["OnUpdate"] == "ignore_warnings":
        yield 'on_update value "ignore_warnings" not supported with check_restart ignore_warnings value "false"'
    what = {"Limit": "limit", "Grace": "grace period"}
    wrong = [key for key in what if restart[key] < 0]
    if wrong:
        yield multierror([f"{what[key]} must be greater than or equal to 0 but found {restart[key]}" for key in wrong])


def _nomad(check: Record) -> Iterator[str]:
    only = "may only be set for Consul service checks"
    if check["Expose"]:
        yield f"expose {only}"
    if check["OnUpdate"] == "ignore_warnings":
        yield f"on_update may only be set to ignore_warnings {only.removeprefix('may only be set ')}"
    if check["CheckRestart"] is not None and check["CheckRestart"]["IgnoreWarnings"]:
        yield "ignore_warnings on check_restart only supported for Consul service checks"
    if check["AddressMode"] == "driver":
        yield f"address_mode = driver {only}"
    if check["Type"] == "http" and check["Method"] and check["Method"].upper() not in _METHODS:
        yield f'method type "{check["Method"]}" not supported in Nomad http check'
    names = {
        "SuccessBeforePassing": "success_before_passing",
        "FailuresBeforeCritical": "failures_before_critical",
        "TLSServerName": "tls_server_name",
        "TLSSkipVerify": "tls_skip_verify",
    }
    yield from (f"{name} {only}" for key, name in names.items() if check[key])


def _consul(check: Record) -> Iterator[str]:
    if check["Expose"] and check["Type"].lower() not in {"grpc", "http"}:
        yield "expose may only be set on HTTP or gRPC checks"
    for key, name in (
        ("SuccessBeforePassing", "success_before_passing"),
        ("FailuresBeforeCritical", "failures_before_critical"),
    ):
        if check[key] > 0 and not needs_port(check):
            yield f'{name} not supported for check of type "{check["Type"]}"'
