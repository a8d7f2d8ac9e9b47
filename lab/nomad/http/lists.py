"""What the list endpoints have in common: prefixes, filters, pages."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from lab.nomad.http.filter import Unfilterable, Unparsable, compiled
from lab.nomad.http.gotext import quote
from lab.nomad.model.errors import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from lab.nomad.http.call import Call
    from lab.nomad.model.store import Record

HEX_LENGTH = 32


def uuid_of(text: str, what: str, *, whole: bool = True) -> str:
    """Check an identifier, or with `whole` off the prefix of one, and answer it in lower case without hyphens.

    Raises 500 with the text of go-memdb's UUID index behind `<what> lookup failed`.
    """
    problem = _uuid_problem(text, whole=whole)
    if problem:
        raise Refusal(500, f"{what} lookup failed: index error: {problem}")
    return text.replace("-", "").lower()


def _uuid_problem(text: str, *, whole: bool) -> str:
    bare = text.replace("-", "")
    if whole and len(text) != 36:
        return "UUID must be 36 characters"
    if len(text) > 36:
        return f"Invalid UUID length. UUID have 36 characters; got {len(text)}"
    if text.count("-") > 4:
        return f'UUID should have maximum of 4 "-"; got {text.count("-")}'
    if len(bare) % 2:
        return "Input (without hyphens) must be even length"
    wrong = re.search(r"[^0-9a-fA-F]", bare)
    if wrong:
        return f"Invalid UUID: encoding/hex: invalid byte: U+{ord(wrong.group()):04X} '{wrong.group()}'"
    return ""


def with_prefix(call: Call, records: Iterable[Record], what: str, key: str = "ID") -> list[Record]:
    """Keep the records whose identifier begins with the `prefix` asked for."""
    prefix = call.request.value("prefix")
    if not prefix:
        return list(records)
    bare = uuid_of(prefix, what, whole=False)
    return [record for record in records if record[key].replace("-", "").startswith(bare)]


def page(
    call: Call,
    records: Iterable[Record],
    token_of: Callable[[Record], str],
    stub: Callable[[Record], Any] | None = None,
    *,
    reverse: bool = False,
    ordered: Callable[[str], Any] = str,
) -> tuple[list[Any], str]:
    """Apply `filter`, `per_page` and `next_token`; answer the stubs of the page and the token of the next one.

    A token is compared as text, as Nomad does; `ordered` may make something else of it.
    """
    wanted = _predicate(call.request.value("filter"))
    per_page, seek = _per_page(call), call.request.value("next_token")
    found = not seek
    result: list[Any] = []
    for record in records:
        token = token_of(record)
        if not found and _before(token, seek, ordered, reverse=reverse):
            continue
        if not _holds(wanted, record):
            continue
        found = True
        if per_page and len(result) >= per_page:
            return result, token
        result.append(record if stub is None else stub(record))
    return result, ""


def _before(token: str, seek: str, ordered: Callable[[str], Any], *, reverse: bool) -> bool:
    return ordered(token) > ordered(seek) if reverse else ordered(token) < ordered(seek)


def _per_page(call: Call) -> int:
    text = call.request.value("per_page")
    return int(text) if re.fullmatch(r"[+-]?\d{1,9}", text) else 0


def _predicate(text: str) -> Callable[[Record], bool] | None:
    if not text:
        return None
    try:
        return compiled(text)
    except Unparsable as exc:
        reason = f"failed to read filter expression: {exc}"
        raise Refusal(400, f"failed to create result paginator: {reason}") from exc


def _holds(wanted: Callable[[Record], bool] | None, record: Record) -> bool:
    if wanted is None:
        return True
    try:
        return wanted(record)
    except Unfilterable as exc:
        raise Refusal(400, f"failed to read result page: {exc}") from exc


def by_id(record: Record) -> str:
    """Answer the page token of records that are named by their ID alone."""
    return record["ID"]


def by_namespace(record: Record) -> str:
    """Answer the page token of records that are named by namespace and ID."""
    return f"{record['Namespace']}.{record['ID']}"


def by_creation(record: Record) -> str:
    """Answer the page token of records listed in the order of their creation."""
    return f"{record['CreateIndex']}.{record['ID']}"


def in_order(call: Call, records: list[Record]) -> list[Record]:
    """Put records into the order of their creation, newest first with `reverse`."""
    reverse = call.request.value("reverse") == "true"
    return sorted(records, key=lambda r: (r["CreateIndex"], r["ID"]), reverse=reverse)


__all__ = ["by_creation", "by_id", "by_namespace", "in_order", "page", "quote", "uuid_of", "with_prefix"]
