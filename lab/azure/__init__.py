"""A stand-in for the part of Azure that the keeper uses: scale sets, their networks, metrics and identities.

clock = FakeClock()                                  # or wall_clock
cloud = Cloud(clock, pace=AZURE_PACE)                # the model: lab.azure.model.cloud
add_pool(cloud, "general", capacity=1)               # lab.azure.model.building
cloud.subscribe(on_instance_event)                   # booted, stopped, reimaged, evicted, deleted
cloud.inject(Fault(FaultKind.NEVER_JOINS, scale_set="general", count=1))
arm = Arm(cloud)                                     # lab.azure.arm: arm.handle(Request) -> Response
InProcessTransport(arm.handle, clock)                # lab.azure.inprocess: for the SDK clients, no socket
start(arm, leaf, tenant, [principal])                # lab.azure.server: https, managed identity, IMDS
arm.journal.matching("*/virtualMachineScaleSets/write")
"""
