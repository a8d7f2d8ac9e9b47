"""What the adapters load, and when: seen in fresh processes."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]

LOADED = """
print(*[name for name in ("requests", "nomad", "azure.core", "azure.identity", "azure.mgmt.compute", "azure.mgmt.monitor",
    "azure.mgmt.network", "azure.storage.blob", "azure.storage.queue", "azure.keyvault.secrets") if name in sys.modules])
"""

EVERY_ADAPTER = """
import importlib, pkgutil, sys
import keeper.azure, keeper.nomad
HEAVY = {"keeper.nomad.connection"}
for package in (keeper.azure, keeper.nomad):
    for module in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        if module.name not in HEAVY:
            importlib.import_module(module.name)
"""

AN_IDLE_LOOK = """
import sys
from lab.azure.arm import Arm
from lab.azure.inprocess import InProcessTransport, StaticCredential
from lab.azure.model.cloud import Cloud
from lab.clock import FakeClock
from lab.nomad.http.inprocess import InProcess
from lab.nomad.server import NomadLab
from keeper.azure.scale_sets import ScaleSetsArm
from keeper.azure.metrics import MonitorUtilisation
from keeper.core.model import Mode, Pool, PoolName
from keeper.nomad.cluster import NomadHttp
from keeper.settings import AzureSettings, NomadSettings
from lab.azure.model.building import add_pool
clock = FakeClock(); clock.now = clock
cloud = Cloud(clock)
add_pool(cloud, "general", capacity=1)
pool = Pool(PoolName("general"), "general", "rg-lab", Mode.FLEXIBLE, 0, 9)
settings = AzureSettings(subscription=cloud.subscription, client_id="x", vault="", blobs="", queues="")
azure = dict(credential=StaticCredential(), transport=InProcessTransport(Arm(cloud).handle, clock))
lab = NomadLab(clock=clock)
address = NomadSettings(address="https://nomad.lab:4646")
nomad = NomadHttp(address, token=lambda: lab.management_token, ca=lambda: "", transport=InProcess(lab.router()))
MonitorUtilisation(settings, **azure)
arm = ScaleSetsArm(settings, [pool], clock=clock, **azure)
assert arm.scale_sets() and arm.instances(pool)
nomad.nodes(), nomad.allocations(), nomad.jobs(), nomad.blocked(), nomad.deploying()
"""


def loaded_by(program):
    command = [sys.executable, "-c", program + LOADED]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_no_sdk_is_loaded_before_an_adapter_is_first_asked():
    assert loaded_by(EVERY_ADAPTER) == set()


def test_an_idle_look_loads_neither_network_nor_monitor():
    loaded = loaded_by(AN_IDLE_LOOK)

    assert {"requests", "nomad", "azure.mgmt.compute"} <= loaded
    assert not {"azure.mgmt.network", "azure.mgmt.monitor"} & loaded
