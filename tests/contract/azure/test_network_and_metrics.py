"""The network and monitor clients over https, and lists that come in pages."""

from datetime import timedelta

import pytest
import requests
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

from lab.azure.model.building import add_pool
from lab.azure.model.words import Mode
from lab.clock import wall_clock


@pytest.fixture
def network(lab, credential):
    with lab.network(credential) as client:
        yield client


@pytest.fixture
def monitor(lab, credential):
    with lab.monitor(credential) as client:
        yield client


def test_the_addresses_of_uniform_instances_are_read_in_one_call(lab, network):
    pool = add_pool(lab.cloud, "general", mode=Mode.UNIFORM, capacity=3)
    nics = list(network.network_interfaces.list_virtual_machine_scale_set_network_interfaces("rg-lab", "general"))
    found = {nic.virtual_machine.id.rpartition("/")[2]: nic.ip_configurations[0].private_ip_address for nic in nics}
    assert found == {instance.instance_id: instance.ip for instance in pool}


def test_the_addresses_of_flexible_members_are_read_in_one_call(lab, network):
    pool = add_pool(lab.cloud, "general", mode=Mode.FLEXIBLE, capacity=3)
    nics = list(network.network_interfaces.list("rg-lab"))
    found = {nic.virtual_machine.id.rpartition("/")[2]: nic.ip_configurations[0].private_ip_address for nic in nics}
    assert found == {instance.name: instance.ip for instance in pool}


def test_a_members_interface_is_found_by_the_id_that_the_member_names(lab, network, compute):
    pool = add_pool(lab.cloud, "general", mode=Mode.FLEXIBLE, capacity=1)
    (instance,) = pool
    machine = compute.virtual_machines.get("rg-lab", instance.name)
    nic_id = machine.network_profile.network_interfaces[0].id
    nic = network.network_interfaces.get("rg-lab", nic_id.rpartition("/")[2])
    assert (nic.id, nic.ip_configurations[0].private_ip_address) == (nic_id, instance.ip)


def test_a_load_balancer_is_given_back_as_it_was_deployed(lab, network):
    add_pool(lab.cloud, "general")
    probe = {"name": "nomad", "properties": {"protocol": "Https", "port": 4646}}
    key = (lab.cloud.subscription, "rg-lab", "lb-servers")
    lab.cloud.network.load_balancers[key] = {"properties": {"probes": [probe]}}
    assert network.load_balancers.get("rg-lab", "lb-servers").probes[0].port == 4646
    with pytest.raises(ResourceNotFoundError):
        network.load_balancers.get("rg-lab", "absent")


def test_a_scripted_metric_is_what_azure_monitor_reports(lab, monitor):
    pool = add_pool(lab.cloud, "general", capacity=1)
    lab.cloud.metrics.script("general", "Percentage CPU", 87.5)
    now = wall_clock()
    span = f"{(now - timedelta(minutes=10)):%Y-%m-%dT%H:%M:%SZ}/{now:%Y-%m-%dT%H:%M:%SZ}"
    answer = monitor.metrics.list(
        pool.key.id, metricnames="Percentage CPU", timespan=span, interval="PT5M", aggregation="Average,Maximum"
    )
    points = answer.value[0].timeseries[0].data
    assert {(point.average, point.maximum) for point in points} == {(87.5, 87.5)}
    assert answer.namespace == "Microsoft.Compute/virtualMachineScaleSets"


def test_a_metric_without_a_script_has_points_without_values(lab, monitor):
    pool = add_pool(lab.cloud, "general", capacity=1)
    points = monitor.metrics.list(pool.key.id, metricnames="Percentage CPU").value[0].timeseries[0].data
    assert points
    assert {point.average for point in points} == {None}


def test_an_unknown_metric_is_refused(lab, monitor):
    pool = add_pool(lab.cloud, "general", capacity=1)
    with pytest.raises(HttpResponseError, match="Failed to find metric configuration"):
        monitor.metrics.list(pool.key.id, metricnames="Mood")


def test_the_metric_definitions_name_the_cpu(lab, monitor):
    pool = add_pool(lab.cloud, "general", capacity=1)
    assert "Percentage CPU" in {d.name.value for d in monitor.metric_definitions.list(pool.key.id)}


@pytest.mark.parametrize("mode", [Mode.UNIFORM, Mode.FLEXIBLE])
def test_a_list_longer_than_a_page_is_followed_to_its_end(lab, compute, mode):
    lab.cloud.page_size = 4
    pool = add_pool(lab.cloud, "general", mode=mode, capacity=10)
    add_pool(lab.cloud, "other", mode=mode, capacity=3)
    if mode is Mode.UNIFORM:
        found = compute.virtual_machine_scale_set_vms.list("rg-lab", "general")
    else:
        found = compute.virtual_machines.list("rg-lab", filter=f"'virtualMachineScaleSet/id' eq '{pool.key.id}'")
    assert [vm.name for vm in found] == [instance.name for instance in pool]
    assert len(lab.arm.journal.matching("*/virtualMachines/read")) == 3


class Records:
    """The A record of one name, over plain ARM: the keeper needs no client package for it."""

    def __init__(self, lab, credential):
        group = f"/subscriptions/{lab.cloud.subscription}/resourceGroups/rg-lab"
        path = f"{group}/providers/Microsoft.Network/privateDnsZones/nomad.internal/A/servers"
        self.url = f"{lab.server.url}{path}?api-version=2020-06-01"
        self.session = requests.Session()
        self.session.trust_env = False  # else a REQUESTS_CA_BUNDLE of the machine wins over `verify`
        self.session.verify = lab.ca
        token = credential.get_token("https://management.azure.com/.default").token
        self.session.headers["Authorization"] = f"Bearer {token}"

    def put(self, address, **headers):
        body = {"properties": {"ttl": 60, "aRecords": [{"ipv4Address": address}]}}
        return self.session.put(self.url, json=body, headers=headers, timeout=5)

    def get(self):
        return self.session.get(self.url, timeout=5)

    def delete(self, **headers):
        return self.session.delete(self.url, headers=headers, timeout=5)


def test_a_private_dns_record_is_written_only_by_who_saw_its_last_state(lab, credential):
    add_pool(lab.cloud, "general")
    lab.cloud.network.add_zone(lab.cloud.subscription, "rg-lab", "nomad.internal")
    records = Records(lab, credential)
    with records.session:
        assert records.get().status_code == 404
        created = records.put("10.0.0.4", **{"If-None-Match": "*"})
        assert (created.status_code, created.headers["etag"]) == (201, created.json()["etag"])
        assert records.put("10.0.0.5", **{"If-None-Match": "*"}).status_code == 412
        changed = records.put("10.0.0.5", **{"If-Match": created.headers["etag"]})
        assert changed.status_code == 200
        assert records.put("10.0.0.6", **{"If-Match": created.headers["etag"]}).json()["code"] == "PreconditionFailed"
        assert records.get().json()["properties"]["aRecords"] == [{"ipv4Address": "10.0.0.5"}]
        assert records.delete(**{"If-Match": created.headers["etag"]}).status_code == 412
        assert [records.delete().status_code, records.delete().status_code] == [200, 204]
