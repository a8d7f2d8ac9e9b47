"""The data disk: what holds anything is never formatted. Real blkid, cmp and mkfs on sparse files."""

import random
import shutil
import subprocess

import pytest
from keepernode.disk import mount_data
from keepernode.machine import Done
from keepernode.problems import NodeError, Unsafe, Waiting
from node_paper import DISK, PaperMachine, disk_with

pytestmark = pytest.mark.skipif(shutil.which("mkfs.ext4") is None, reason="needs e2fsprogs")


@pytest.fixture
def machine(tmp_path):
    return PaperMachine(tmp_path)


def formatted(machine):
    return [deed for deed in machine.deeds if deed.startswith("mkfs")]


def test_an_empty_disk_is_formatted_once_and_mounted_by_its_uuid(machine):
    disk_with(machine)

    mount_data(machine, 0)
    assert mount_data(machine, 0) == []

    assert len(formatted(machine)) == 1
    uuid = subprocess.run(
        ["blkid", "-p", "-s", "UUID", "-o", "value", machine.at(DISK)], capture_output=True, text=True, check=True
    ).stdout.strip()
    assert f"What=/dev/disk/by-uuid/{uuid}\n" in machine.read("/etc/systemd/system/data.mount").decode()


@pytest.mark.parametrize("kind", ["ext4"])
def test_a_disk_with_a_file_system_is_mounted_as_it_is(machine, kind):
    disk = disk_with(machine)
    subprocess.run([f"mkfs.{kind}", "-q", disk], check=True)
    before = disk.read_bytes()

    mount_data(machine, 0)

    assert formatted(machine) == []
    assert disk.read_bytes() == before
    assert machine.mounted


@pytest.mark.parametrize(
    ("what", "prepare"),
    [
        ("swap", ["mkswap"]),
        ("a partition table", ["sfdisk", "--quiet", "--label", "gpt"]),
        ("ext2", ["mkfs.ext2", "-q"]),
    ],
)
def test_a_disk_with_anything_else_is_left_alone_and_named(machine, what, prepare):
    disk = disk_with(machine)
    subprocess.run([*prepare, disk], input=b",,\n", capture_output=True, check=True)
    before = disk.read_bytes()

    with pytest.raises(Unsafe, match=rf"{DISK} holds {what}.*never formatted"):
        mount_data(machine, 0)

    assert formatted(machine) == []
    assert disk.read_bytes() == before


@pytest.mark.parametrize("seed", range(8))
def test_a_disk_whose_file_system_is_damaged_beyond_recognition_is_left_alone(machine, seed):
    """The superblock is gone and blkid finds nothing, yet the data may be saved from the copies further on."""
    disk = disk_with(machine)
    subprocess.run(["mkfs.ext4", "-q", disk], check=True)
    with disk.open("r+b") as held:
        held.write(bytes(1024 * random.Random(seed).randint(2, 2000)))  # noqa: S311 - a reproducible hole

    with pytest.raises(Unsafe):
        mount_data(machine, 0)

    assert formatted(machine) == []


def test_the_copies_of_a_lost_superblock_are_looked_for_all_over_a_large_disk(machine):
    disk = disk_with(machine, size=1024**3)
    subprocess.run(["mkfs.ext4", "-q", "-b", "4096", "-E", "lazy_itable_init=1", disk], check=True)
    with disk.open("r+b") as held:
        held.write(bytes(100 * 1024**2))

    with pytest.raises(Unsafe, match="is not empty at byte 134217728"):
        mount_data(machine, 0)


def test_a_disk_in_which_only_the_kernel_sees_parts_is_left_alone(machine):
    disk_with(machine)
    machine._run_lsblk = lambda _words: Done(0, "sdc\nsdc1\n", "")

    with pytest.raises(Unsafe, match="has parts or a signature"):
        mount_data(machine, 0)

    assert formatted(machine) == []


def test_a_disk_that_is_not_attached_yet_is_waited_for(machine):
    with pytest.raises(Waiting, match="the data disk at LUN 0"):
        mount_data(machine, 0)


def test_a_folder_that_is_not_the_disk_after_mounting_stops_everything(machine):
    disk_with(machine)
    machine._run_findmnt = lambda _words: machine.run(["getent", "passwd", "root"])

    with pytest.raises(Unsafe, match="is not the data disk"):
        mount_data(machine, 0)


def test_a_mount_that_fails_says_where_to_look(machine):
    disk_with(machine)
    machine.broken = {"systemctl start": "wrong fs type"}

    with pytest.raises(NodeError, match=r"wrong fs type; look at `journalctl -u data\.mount`"):
        mount_data(machine, 0)


def test_a_machine_without_a_data_disk_has_a_plain_folder(machine):
    assert mount_data(machine, None) == ["/data"]
    assert mount_data(machine, None) == []
