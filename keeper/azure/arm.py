"""How the keeper calls Azure Resource Manager: within a tick's patience, and never waiting out a throttle."""

from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:
    from collections.abc import Callable

    from azure.core.pipeline import PipelineRequest
    from azure.core.pipeline.transport import HttpTransport

    type Transport = HttpTransport[Any, Any]


class ArmOptions(TypedDict, total=False):
    """Options that every azure-mgmt client takes."""

    base_url: str
    retry_total: int
    retry_connect: int
    retry_read: int
    retry_status: int
    timeout: int
    raw_request_hook: "Callable[[PipelineRequest[Any]], None]"
    transport: "Transport"


CONNECT_SECONDS = 5
READ_SECONDS = 20
CALL_SECONDS = 25
"""For one call with its second try."""


def arm_options(endpoint: str, transport: "Transport | None" = None) -> ArmOptions:
    """Options for one endpoint. `transport` replaces the network.

    A read whose connection fails is tried once more. An answer is an answer: 429 and 5xx are never waited out here
    (azure-core would sleep as long as `Retry-After` says, up to hours), because the next tick is the retry.
    """
    options = ArmOptions(
        base_url=endpoint.rstrip("/"),
        retry_total=1,
        retry_connect=1,
        retry_read=1,
        retry_status=0,
        timeout=CALL_SECONDS,
        raw_request_hook=within_patience,
    )
    if transport is not None:
        options["transport"] = transport
    return options


def within_patience(request: "PipelineRequest[Any]") -> None:
    """Bound one request, whatever its transport allows: 300 s is the transports' own default."""
    request.context.options["connection_timeout"] = CONNECT_SECONDS
    request.context.options["read_timeout"] = READ_SECONDS
