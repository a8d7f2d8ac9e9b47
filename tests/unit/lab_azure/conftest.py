"""A cloud on a fake clock, and the real compute client in-process against it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import pytest
from azure.mgmt.compute import ComputeManagementClient

from lab.azure.arm import Arm
from lab.azure.inprocess import InProcessTransport, StaticCredential
from lab.azure.model.cloud import Cloud
from lab.azure.model.pace import FixedBoot, Pace
from lab.clock import FakeClock

STEADY = Pace(boot=FixedBoot(timedelta(seconds=60)))


@dataclass
class World:
    """A cloud, its clock, its ARM, the client, and everything the observers heard."""

    clock: FakeClock
    cloud: Cloud
    arm: Arm
    compute: ComputeManagementClient
    heard: list

    def wait(self, seconds):
        """Let time pass, step by step, as a simulator does."""
        until = self.clock() + timedelta(seconds=seconds)
        while (due := self.cloud.next_due()) is not None and due <= until:
            self.clock.move_to(due)
            self.arm.advance()
        self.clock.move_to(until)
        self.arm.advance()

    def resize(self, name, capacity, **options):
        """Ask for a capacity and return the poller, or the answer's scale set with polling off."""
        body = {"sku": {"name": "Standard_D4s_v5", "capacity": capacity}}
        return self.compute.virtual_machine_scale_sets.begin_update("rg-lab", name, body, **options)

    def delete(self, name, instance_ids, **options):
        """Delete instances by id."""
        return self.compute.virtual_machine_scale_sets.begin_delete_instances(
            "rg-lab", name, {"instanceIds": list(instance_ids)}, **options
        )


def make_world(**options):
    clock = FakeClock()
    cloud = Cloud(clock, **{"pace": STEADY, **options})
    arm = Arm(cloud)
    compute = ComputeManagementClient(
        StaticCredential(),
        cloud.subscription,
        transport=InProcessTransport(arm.handle, clock),
        retry_total=0,
        polling_interval=1,
    )
    heard = []
    cloud.subscribe(heard.append)
    return World(clock, cloud, arm, compute, heard)


@pytest.fixture
def world():
    made = make_world()
    with made.compute:
        yield made
