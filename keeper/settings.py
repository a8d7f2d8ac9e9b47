"""Every setting of the keeper, read once, all problems reported at once.

Each field carries its environment name and bounds (`Setting`), its default and, below it, its meaning;
`docs/settings.md` is generated from here. This is the only module that reads the environment.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from datetime import timedelta
from typing import Annotated, Any, get_args, get_type_hints

from keeper.core.model import Pool
from keeper.core.retention import RetentionRules
from keeper.core.rules import AutoscaleRules, Setting
from keeper.errors import SettingsError
from keeper.pools import parse_pools
from keeper.settings_certificates import CertificateSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class NomadSettings:
    """How to reach Nomad."""

    address: Annotated[str, Setting("NOMAD_ADDRESS", pattern=r"https://[^/]+")]
    """Base URL of the servers' internal load balancer, such as `https://10.0.10.10:4646`. TLS only."""

    region: Annotated[str, Setting("NOMAD_REGION", pattern=r"[a-z0-9-]+")] = "global"
    """The Nomad region; servers are verified as `server.<region>.nomad`."""

    token_secret: Annotated[str, Setting("NOMAD_TOKEN_SECRET", pattern=r"[0-9A-Za-z-]{1,127}")] = "nomad-keeper-token"  # noqa: S105 -- a name
    """Name of the Key Vault secret that holds the keeper's Nomad token."""

    ca_secret: Annotated[str, Setting("NOMAD_CA_SECRET", pattern=r"[0-9A-Za-z-]{1,127}")] = "nomad-ca-bundle"  # noqa: S105 -- a name
    """Name of the Key Vault secret that holds the CA bundle (PEM) that Nomad's certificates are verified with."""

    timeout: Annotated[timedelta, Setting("NOMAD_TIMEOUT_SECONDS", at_least=1, at_most=60)] = timedelta(seconds=10)
    """How long one call to Nomad may take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AzureSettings:
    """Which Azure resources the keeper works with, and as whom."""

    subscription: Annotated[str, Setting("AZURE_SUBSCRIPTION_ID", pattern=r"[0-9A-Fa-f-]{36}")]
    """The subscription of the scale sets."""

    client_id: Annotated[str, Setting("AZURE_CLIENT_ID", pattern=r"[0-9A-Fa-f-]{36}")]
    """Client id of the keeper's user-assigned managed identity."""

    vault: Annotated[str, Setting("KEY_VAULT_URL", pattern=r"https://[^/]+/?")]
    """Key Vault with the Nomad token and CA bundle."""

    blobs: Annotated[str, Setting("KEEPER_STORAGE__blobServiceUri", pattern=r"https://.+")]
    """Blob endpoint of the account that holds the keeper's records."""

    queues: Annotated[str, Setting("KEEPER_STORAGE__queueServiceUri", pattern=r"https://.+")]
    """Queue endpoint of the account that holds the corridor; the queue trigger reads the same setting."""

    arm: Annotated[str, Setting("ARM_ENDPOINT", pattern=r"https://[^/]+/?")] = "https://management.azure.com"
    """Azure Resource Manager; differs in sovereign clouds."""

    container: Annotated[str, Setting("KEEPER_CONTAINER", pattern=r"[a-z0-9-]{3,63}")] = "keeper"
    """Blob container of the records."""

    queue: Annotated[str, Setting("KEEPER_QUEUE", pattern=r"[a-z0-9-]{3,56}")] = "keeper"
    """The corridor; the poison queue is `<name>-poison`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorSettings:
    """What the HTTP doors accept, and how often the timers run."""

    schedule: Annotated[str, Setting("AUTOSCALE_SCHEDULE", pattern=r"\S+( \S+){5}")] = "*/30 * * * * *"
    """When the autoscale timer runs: six fields, seconds first (NCRONTAB), UTC. Nudges make it seldom needed."""

    max_body: Annotated[int, Setting("HTTP_MAX_BODY_BYTES", at_least=1024, at_most=1_048_576)] = 262_144
    """Largest request body in bytes; larger ones are answered 413."""

    require_roles: Annotated[bool, Setting("HTTP_REQUIRE_APP_ROLES")] = False
    """Whether Entra ID and app roles (`Keeper.Reader`, `Keeper.Operator`) lock the HTTP doors instead of function keys."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotSettings:
    """Which state is saved, how often, and where to."""

    schedule: Annotated[str, Setting("SNAPSHOT_SCHEDULE", pattern=r"\S+( \S+){5}")] = "0 20 * * * *"
    """When the snapshot timer runs: six fields, seconds first (NCRONTAB), UTC."""

    interval: Annotated[timedelta, Setting("SNAPSHOT_INTERVAL_SECONDS", at_least=60)] = timedelta(hours=1)
    """A snapshot is due this long after the last verified one; half of it more, and it is overdue."""

    cluster: Annotated[str, Setting("SNAPSHOT_CLUSTER", pattern=r"[a-z0-9][a-z0-9-]{0,62}|")] = ""
    """Name of the cluster in the names of its snapshots; empty: none are taken. A cluster made anew on purpose needs a new one."""

    nomad_token_secret: Annotated[str, Setting("SNAPSHOT_NOMAD_TOKEN_SECRET", pattern=r"[0-9A-Za-z-]{1,127}")] = (
        "nomad-snapshot-token"  # noqa: S105 -- a name
    )
    """Name of the Key Vault secret with the Nomad token that may save snapshots: a management token before Nomad 1.11.3, `snapshot-save` from then on."""

    key: Annotated[str, Setting("SNAPSHOT_KEY", pattern=r"[0-9A-Za-z-]{1,127}")] = "nomad-snapshots"
    """Name of the Key Vault key (RSA, wrapKey and unwrapKey) that wraps each snapshot's data key."""

    copy_blobs: Annotated[str, Setting("SNAPSHOT_COPY_BLOB_URL", pattern=r"(https://.+)?")] = ""
    """Blob endpoint of the second account; empty: no copies."""

    copy_client_id: Annotated[str, Setting("SNAPSHOT_COPY_CLIENT_ID", pattern=r"([0-9A-Fa-f-]{36})?")] = ""
    """Client id of the managed identity that writes the copies and has no other right; required with the endpoint."""

    largest_state: Annotated[
        int, Setting("SNAPSHOT_LARGEST_STATE_BYTES", at_least=1_048_576, at_most=8_589_934_591)
    ] = 4_294_967_296
    """A state of more bytes than this, unpacked, is refused."""

    shrink: Annotated[int, Setting("SNAPSHOT_SHRINK_FACTOR", at_least=2)] = 10
    """A state that many times smaller than the last verified one is refused until a person accepts it."""

    consul_address: Annotated[str, Setting("CONSUL_ADDRESS", pattern=r"(https://[^/]+)?")] = ""
    """Base URL of Consul's servers; empty: no snapshots of Consul."""

    consul_name: Annotated[str, Setting("CONSUL_TLS_NAME", pattern=r"[A-Za-z0-9.-]+")] = "server.dc1.consul"
    """The name that Consul's servers are verified as: `server.<datacenter>.consul`."""

    consul_token_secret: Annotated[str, Setting("CONSUL_TOKEN_SECRET", pattern=r"[0-9A-Za-z-]{1,127}")] = (
        "consul-snapshot-token"  # noqa: S105 -- a name
    )
    """Name of the Key Vault secret with a Consul token that has acl = "write" and may read all else, as a management token does."""

    consul_ca_secret: Annotated[str, Setting("CONSUL_CA_SECRET", pattern=r"[0-9A-Za-z-]{1,127}")] = "consul-ca-bundle"  # noqa: S105 -- a name
    """Name of the Key Vault secret with the CA bundle (PEM) that Consul's certificates are verified with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreSettings:
    """With which rights state is put back, and how often that is rehearsed."""

    token_secret: Annotated[str, Setting("RESTORE_NOMAD_TOKEN_SECRET", pattern=r"[0-9A-Za-z-]{1,127}")] = (
        "nomad-management-token"  # noqa: S105 -- a name
    )
    """Name of the Key Vault secret with a Nomad management token: restoring and listing root keys ask for no less."""

    consul_token_secret: Annotated[str, Setting("RESTORE_CONSUL_TOKEN_SECRET", pattern=r"[0-9A-Za-z-]{1,127}")] = (
        "consul-snapshot-token"  # noqa: S105 -- a name
    )
    """Name of the Key Vault secret with a Consul management token."""

    schedule: Annotated[str, Setting("REHEARSAL_SCHEDULE", pattern=r"\S+( \S+){5}")] = "0 50 * * * *"
    """When the rehearsal timer runs: six fields, seconds first (NCRONTAB), UTC. It keeps the canaries and reads verdicts."""

    interval: Annotated[timedelta, Setting("REHEARSAL_INTERVAL_SECONDS", at_least=60)] = timedelta(days=1)
    """The newest snapshot is rehearsed, and an old one read anew, this long after the last time."""

    patience: Annotated[timedelta, Setting("REHEARSAL_PATIENCE_SECONDS", at_least=60)] = timedelta(hours=1)
    """A rehearsal without a verdict after this long has failed."""

    drill: Annotated[str, Setting("REHEARSAL_JOB", pattern=r"[A-Za-z0-9._-]{0,127}")] = "restore-drill"
    """Name of the parameterized Nomad job that rehearses (`nomad-jobs/restore-drill.nomad.hcl`); empty: no rehearsals."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All of them."""

    nomad: NomadSettings
    azure: AzureSettings
    doors: DoorSettings
    autoscale: AutoscaleRules
    snapshots: SnapshotSettings = field(default_factory=SnapshotSettings)
    retention: RetentionRules = field(default_factory=RetentionRules)
    restores: RestoreSettings = field(default_factory=RestoreSettings)
    certificates: CertificateSettings = field(default_factory=CertificateSettings)
    pools: Annotated[tuple[Pool, ...], Setting("POOLS")] = field(default=())
    """JSON list of the pools; see `docs/settings.md` for its keys."""

    def pool(self, name: str) -> Pool | None:
        """The pool of that name, or None."""
        return next((pool for pool in self.pools if pool.name == name), None)


CENTURY = 100 * 365 * 86_400
SECTIONS = (
    NomadSettings,
    AzureSettings,
    DoorSettings,
    AutoscaleRules,
    SnapshotSettings,
    RetentionRules,
    RestoreSettings,
    CertificateSettings,
)
"""In the order of the fields of `Settings`."""


def load(environment: Mapping[str, str]) -> Settings:
    """Read all settings; raises `SettingsError` that lists every problem, each by the setting's name."""
    problems: list[str] = []
    sections = [_section(section, environment, problems) for section in SECTIONS]
    pools = _pools(environment, problems)
    if all(section is not None for section in sections):
        named = zip((each.name for each in fields(Settings)), sections, strict=False)
        settings = Settings(**dict(named), pools=pools)
        problems += contradictions(settings)
        if not problems:
            return settings
    raise SettingsError(problems)


def from_environment() -> Settings:
    """The settings of this process."""
    return load(os.environ)  # noqa: TID251 -- the one place


def contradictions(settings: Settings) -> list[str]:
    """What is wrong between settings that are each right alone."""
    rules, pools = settings.autoscale, settings.pools
    found: list[str] = []
    if rules.set_aside_first > rules.set_aside_most:
        found.append(
            "AUTOSCALE_SET_ASIDE_FIRST_SECONDS: expected at most AUTOSCALE_SET_ASIDE_MOST_SECONDS "
            f"({rules.set_aside_most.total_seconds():g}), got {rules.set_aside_first.total_seconds():g}"
        )
    if settings.snapshots.copy_blobs and not settings.snapshots.copy_client_id:
        found.append("SNAPSHOT_COPY_CLIENT_ID: expected a client id because SNAPSHOT_COPY_BLOB_URL is set, got nothing")
    tokens = (settings.nomad.token_secret, settings.snapshots.nomad_token_secret, settings.restores.token_secret)
    found += settings.certificates.contradictions(settings.azure.vault, tokens)
    floor = sum(pool.minimum for pool in pools)
    if floor > rules.max_instances:
        found.append(
            f"LIMIT_INSTANCES: expected at least the sum of the pools' min ({floor}), got {rules.max_instances}"
        )
    if rules.max_cost and any(pool.price <= 0 for pool in pools):
        unpriced = ", ".join(pool.name for pool in pools if pool.price <= 0)
        found.append(f"POOLS: expected a price for every pool because LIMIT_COST_PER_HOUR is set, none for {unpriced}")
    return found


def _pools(environment: Mapping[str, str], problems: list[str]) -> tuple[Pool, ...]:
    text = environment.get("POOLS", "")
    if not text:
        problems.append("POOLS: expected a JSON list of pools, got nothing")
        return ()
    pools, found = parse_pools(text)
    problems += found
    return pools


def _section(section: type[Any], environment: Mapping[str, str], problems: list[str]) -> Any:  # noqa: ANN401 -- any of SECTIONS, or None
    """One dataclass filled from the environment, or None after adding what is wrong to `problems`."""
    hints = get_type_hints(section, include_extras=True)
    values: dict[str, Any] = {}
    before = len(problems)
    for each in fields(section):
        if not hasattr(hints[each.name], "__metadata__"):
            continue
        kind, setting = get_args(hints[each.name])
        text = environment.get(setting.env)
        if text is None or text == "":
            if each.default is MISSING:
                problems.append(f"{setting.env}: expected a value, got nothing")
            continue
        try:
            values[each.name] = _parse(kind, setting, text)
        except ValueError as exc:
            problems.append(f"{setting.env}: expected {exc}, got {'a secret' if setting.secret else repr(text)}")
    return section(**values) if len(problems) == before else None


def _parse(kind: type, setting: Setting, text: str) -> object:
    if kind is str:
        if setting.pattern and not re.fullmatch(setting.pattern, text):
            raise ValueError(f"text like {setting.pattern}")
        return text
    if kind is bool:
        if text.lower() not in {"true", "false"}:
            raise ValueError("true or false")
        return text.lower() == "true"
    return _number(kind, setting, text)


def _number(kind: type, setting: Setting, text: str) -> object:
    bounds = " ".join(
        f"{word} {bound:g}"
        for word, bound in (("at least", setting.at_least), ("at most", setting.at_most))
        if bound is not None
    )
    wanted = ("a whole number" if kind is int else "a number") + (" of seconds" if kind is timedelta else "")
    try:
        number = int(text) if kind is int else float(text)
    except ValueError:
        raise ValueError(f"{wanted} {bounds}".strip()) from None
    low = setting.at_least if setting.at_least is not None else number
    high = setting.at_most if setting.at_most is not None else number
    if not low <= number <= high:  # also refuses NaN
        raise ValueError(f"{wanted} {bounds}".strip())
    if kind is timedelta and number > CENTURY:  # added to now it would have no date
        raise ValueError("less than a century, in seconds")
    return timedelta(seconds=number) if kind is timedelta else number
