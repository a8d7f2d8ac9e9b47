"""What the snapshot controller writes down between ticks: only what a listing of blobs cannot tell, and what people ask for.

The record is `snapshots/status.json` in the state account. Losing it costs one more read-back.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import cast

from keeper.core.messages import parse_time
from keeper.core.snapshots import Product

RECORD = "snapshots/status.json"


@dataclass(frozen=True, slots=True)
class ProductStatus:
    """One product's snapshots, as of the last tick."""

    newest: str = ""
    """Stem of the newest verified snapshot."""
    taken: datetime | None = None
    read_back: str = ""
    """Stem of the newest one that was read back whole."""
    problem: str = ""
    """The last failure as one line, until something succeeds."""
    since: datetime | None = None
    """Since when it fails."""


@dataclass(frozen=True, slots=True)
class Status:
    """All products, and when the next look has been asked for."""

    products: Mapping[Product, ProductStatus] = field(default_factory=dict[Product, ProductStatus])
    follow_up: datetime | None = None

    def of(self, product: Product) -> ProductStatus:
        """That product's; empty when nothing is known."""
        return self.products.get(product, ProductStatus())

    def having(self, product: Product, status: ProductStatus) -> "Status":
        """The same with another status of one product."""
        return replace(self, products={**self.products, product: status})


def to_json(status: Status) -> str:
    """The record's text."""
    products = {
        product: {
            "newest": each.newest,
            "taken": _written(each.taken),
            "read_back": each.read_back,
            "problem": each.problem,
            "since": _written(each.since),
        }
        for product, each in status.products.items()
    }
    return json.dumps({"products": products, "follow_up": _written(status.follow_up)})


def from_json(text: str | bytes) -> Status:
    """The status of a record's text; raises ValueError for anything else."""
    try:
        given = cast("dict[str, dict[str, dict[str, str]]]", json.loads(text))
        products = {
            Product(product): ProductStatus(
                each["newest"], _read(each["taken"]), each["read_back"], each["problem"], _read(each["since"])
            )
            for product, each in given["products"].items()
        }
        return Status(products, _read(given["follow_up"]))
    except (KeyError, TypeError, AttributeError) as exc:
        raise ValueError(f"not a status of snapshots: {exc}") from exc


def _written(when: datetime | None) -> str | None:
    return None if when is None else when.isoformat()


def _read(text: object) -> datetime | None:
    return None if text is None else parse_time("time", text)
