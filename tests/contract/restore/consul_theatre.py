"""The world around Consul: a stand-in or a real server, and a person who asks for a restore."""

from dataclasses import replace
from datetime import timedelta

from keeper.consul.restoring import ConsulCanaries, ConsulRestore
from keeper.core.canaries import Canary
from lab.clock import wall_clock
from tests.contract.consul.playing import Player
from tests.contract.consul.script import TOKENS, Step
from tests.contract.restore.theatre import CLUSTER, Theatre


class ConsulTheatre(Theatre):
    """The same world around Consul, and around Nomad as well when it is asked for."""

    def __init__(self, side, consul, *, with_nomad=False):
        super().__init__(side)
        self.with_nomad = with_nomad
        changed = replace(self.settings.snapshots, consul_address=consul.url)
        self.settings = replace(self.settings, snapshots=changed)
        self.server, self.asked = consul, Player(consul)
        self.be("management")

    def be(self, who):
        """Have the secret hold that token."""
        self.hold(TOKENS[who])

    def hold(self, token, *former):
        """Have the secret hold that token, and have held others."""
        how = {"token": lambda: token, "ca": self.server.ca.read_text, "secret": "consul-restore-token"}
        how["former"] = lambda: iter(former)
        self.consul = ConsulRestore(self.settings.snapshots, **how)
        self.kept = ConsulCanaries(self.settings.snapshots, **how)

    @property
    def world(self):
        whole = super().world
        nomad = self.with_nomad
        backups = replace(whole.snapshots, sources=(*(whole.snapshots.sources if nomad else ()), self.consul))
        restores = replace(
            whole.restores,
            targets=(*(whole.restores.targets if nomad else ()), self.consul),
            canaries=(*(whole.restores.canaries if nomad else ()), self.kept),
        )
        return replace(whole, snapshots=backups, restores=restores)

    def furnish_consul(self):
        """Keys, a session, tokens, an auth method, the canary."""
        self.asked.furnish()
        self.kept.write(Canary(CLUSTER, wall_clock().replace(microsecond=0) - timedelta(seconds=1)))

    def paths(self):
        return self.asked.ask(Step("GET", "kv/?keys")).json()
