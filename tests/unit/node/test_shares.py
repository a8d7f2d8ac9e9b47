"""Files that clients share: mounted when the share is there, never in the way when it is not."""

import json

import pytest
from keepernode.apply import apply, reported
from keepernode.health import judge
from keepernode.status import parse_status

SHARE = {"host": "account.file.core.windows.net", "path": "/account/files"}
SOURCE = "account.file.core.windows.net:/account/files"
UNIT = "/etc/systemd/system/srv-files.mount"


def run(machine, told):
    return reported(machine, lambda: apply(machine, told), "node.applied")


def health(machine):
    page = judge(parse_status(machine.read("/run/keeper/status.json")), unwell_for=0)
    return page.status, json.loads(page.body)["what"]


def test_a_client_mounts_the_share_and_a_second_run_changes_nothing(new_machine, told):
    machine = new_machine("client")
    settings = told("client", filesShare=SHARE)

    run(machine, settings)

    text = machine.read(UNIT).decode()
    assert f"What={SOURCE}\nWhere=/srv/files\nType=nfs\n" in text
    for option in ("vers=4", "minorversion=1", "nconnect=4", "noresvport", "nosuid", "nodev"):
        assert option in text.partition("Options=")[2].split("\n")[0].split(",")
    assert "RequiredBy" not in text
    assert "nfs-common" in machine.packages
    assert machine.shared == SOURCE
    assert machine.deeds.index("systemctl restart srv-files.mount") < machine.deeds.index(
        "systemctl enable --now nomad.service"
    )
    machine.deeds.clear()
    assert run(machine, settings).changed == machine.deeds == []
    assert health(machine) == (200, "")


def test_a_share_that_is_away_keeps_no_machine_from_joining_and_health_says_so(new_machine, told):
    machine = new_machine("client")
    machine.share_is_away = True
    settings = told("client", filesShare=SHARE)

    run(machine, settings)

    assert "nomad" in machine.active
    assert machine.read("/var/lib/keeper/ready") is not None
    status, what = health(machine)
    assert status == 200
    assert f"the share {SOURCE} is away" in what
    assert ["chattr", "+i", "/srv/files"] in machine.argvs  # no task writes to the machine's own disk instead

    machine.share_is_away = False
    run(machine, settings)
    assert health(machine) == (200, "")
    assert machine.shared == SOURCE


def test_a_mounted_share_that_does_not_answer_is_told(new_machine, told):
    machine = new_machine("client")
    settings = told("client", filesShare=SHARE)
    run(machine, settings)
    machine.broken = {"stat": "stat: not finished after 10 s"}

    run(machine, settings)

    assert "is mounted and does not answer" in health(machine)[1]


def test_another_share_takes_the_place_of_the_first(new_machine, told):
    machine = new_machine("client")
    run(machine, told("client", filesShare=SHARE))

    run(machine, told("client", filesShare=SHARE | {"path": "/account/other"}))

    assert machine.shared == "account.file.core.windows.net:/account/other"


@pytest.mark.parametrize("in_use", [False, True])
def test_a_share_that_is_no_longer_wanted_goes_once_nobody_uses_it(new_machine, told, in_use):
    machine = new_machine("client")
    run(machine, told("client", filesShare=SHARE))
    machine.broken = {"systemctl disable": "umount: /srv/files: target is busy"} if in_use else {}

    outcome = run(machine, told("client"))

    assert (machine.read(UNIT) is not None) is in_use
    assert any("is still in use" in each for each in outcome.pending) is in_use
    assert b"host_volume" not in machine.read("/etc/nomad.d/20-client.hcl")
    machine.broken = {}
    run(machine, told("client"))
    assert (machine.read(UNIT), machine.shared) == (None, "")


def test_servers_mount_no_share(new_machine, told):
    machine = new_machine()

    run(machine, told(filesShare=SHARE))

    assert (machine.read(UNIT), machine.shared) == (None, "")
