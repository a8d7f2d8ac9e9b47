"""What a token may do: several policies compiled into one answer per question.

Rules: https://developer.hashicorp.com/nomad/docs/v1.6.x/other-specifications/acl-policy (deny wins, exact names before
globs, the glob with the fewest replaced characters before others, variables by namespace and path).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lab.nomad.acl.rules import Grant, Rules

_ORDER = ("deny", "write", "read", "list")


class Grants:
    """Capabilities by name, some names being globs."""

    def __init__(self) -> None:
        self._exact: dict[str, set[str]] = {}
        self._globs: dict[str, set[str]] = {}

    def add(self, name: str, capabilities: Iterable[str], *, glob: bool = False) -> None:
        """Join capabilities to those a name has; `deny` clears them for good."""
        held = (self._globs if glob or "*" in name else self._exact).setdefault(name, set())
        if "deny" in held:
            return
        held.update(capabilities)
        if "deny" in held:
            held.intersection_update({"deny"})

    def of(self, name: str) -> frozenset[str] | set[str]:
        """Answer the capabilities that apply to a name: its own, else those of the closest glob, else none."""
        if name in self._exact:
            return self._exact[name]
        matching = [glob for glob in sorted(self._globs) if _glob(glob).fullmatch(name)]
        if not matching:
            return frozenset()
        return self._globs[min(matching, key=lambda glob: len(name) - len(glob) + glob.count("*"))]

    def all(self) -> list[set[str]]:
        """Answer every capability set, exact names first."""
        return [*self._exact.values(), *self._globs.values()]

    def under(self, prefix: str) -> bool:
        """Tell whether any name begins so."""
        return any(name.startswith(prefix) for name in (*self._exact, *self._globs))


@lru_cache(maxsize=1024)
def _glob(glob: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in glob.split("*")), re.DOTALL)


class Rights:
    """The union of some policies, or everything for a management token."""

    def __init__(self, policies: Iterable[Rules] = (), *, management: bool = False) -> None:
        self.management = management
        self._namespaces, self._pools, self._variables = Grants(), Grants(), Grants()
        self._levels: dict[str, str] = {}
        for policy in policies:
            self._join(policy)

    def _join(self, policy: Rules) -> None:
        _add(self._namespaces, policy.namespaces)
        _add(self._pools, policy.node_pools)
        for namespace, grant in policy.variables:
            self._variables.add(f"{namespace}\0{grant.name}", grant.capabilities)
        for kind, level in policy.levels.items():
            held = {self._levels.get(kind, ""), level}
            self._levels[kind] = next((best for best in _ORDER if best in held), "")

    def namespace(self, name: str, *capabilities: str) -> bool:
        """Tell whether any of the capabilities is held in a namespace; `*` asks whether in any namespace."""
        if self.management:
            return True
        if name == "*" and any(not held.isdisjoint(capabilities) for held in self._namespaces.all()):
            return True
        return not self._namespaces.of(name).isdisjoint(capabilities)

    def any_in_namespace(self, name: str) -> bool:
        """Tell whether anything at all is allowed in a namespace."""
        if self.management:
            return True
        if name == "*" and any(held and "deny" not in held for held in self._namespaces.all()):
            return True
        held = self._namespaces.of(name)
        return bool(held) and "deny" not in held

    def pool(self, name: str, capability: str) -> bool:
        """Tell whether a capability is held on a node pool."""
        return self.management or capability in self._pools.of(name)

    def any_pool(self) -> bool:
        """Tell whether node pools may be searched at all."""
        return self.management or any("deny" not in held for held in self._pools.all())

    def variable(self, namespace: str, path: str, capability: str) -> bool:
        """Tell whether a capability is held on a variable."""
        return self.management or capability in self._variables.of(f"{namespace}\0{path}")

    def any_variable(self, namespace: str) -> bool:
        """Tell whether variables of a namespace may be searched at all."""
        if self.management:
            return True
        return bool(self._variables.all()) if namespace == "*" else self._variables.under(namespace)

    def read(self, kind: str) -> bool:
        """Tell whether agent, node, operator, quota or plugin may be read."""
        return self.management or self._levels.get(kind) in {"read", "write"}

    def write(self, kind: str) -> bool:
        """Tell whether agent, node, operator or quota may be written."""
        return self.management or self._levels.get(kind) == "write"


def _add(grants: Grants, given: Iterable[Grant]) -> None:
    for grant in given:
        grants.add(grant.name, grant.capabilities)


MANAGEMENT = Rights(management=True)
NOTHING = Rights()
