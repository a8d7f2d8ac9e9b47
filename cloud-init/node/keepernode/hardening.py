"""The operating system made fit to stand in a cluster: who may log in, what is logged, which ports are left to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keepernode.knobs import Role
from keepernode.machine import File, ensure_all, must
from keepernode.problems import NodeError

if TYPE_CHECKING:
    from keepernode.knobs import Told
    from keepernode.machine import Machine

SSHD = "/etc/ssh/sshd_config.d/10-keeper.conf"
SYSCTL = "/etc/sysctl.d/90-keeper.conf"
MODULES = "/etc/modules-load.d/keeper.conf"
AUDIT = "/etc/audit/rules.d/90-keeper.rules"
JOURNAL = "/etc/systemd/journald.conf.d/90-keeper.conf"
CHRONY = "/etc/chrony/conf.d/90-keeper.conf"
DAEMON = "/usr/sbin/sshd"
HOST_CLOCK = "/dev/ptp_hyperv"

_SSHD_TEXT = """# Keys only. The first value of a keyword wins, so this file sorts before the image's own.
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitEmptyPasswords no
PermitRootLogin no
X11Forwarding no
AllowAgentForwarding no
MaxAuthTries 3
LoginGraceTime 30
ClientAliveInterval 300
ClientAliveCountMax 2
"""

_SYSCTL_TEXT = """# Nomad gives 20000-32000 to allocations: the kernel must not lend them out for outgoing connections.
net.ipv4.ip_local_port_range = 49152 65535
net.ipv4.conf.all.accept_redirects = 0
net.ipv4.conf.all.send_redirects = 0
net.ipv4.conf.all.accept_source_route = 0
net.ipv4.tcp_syncookies = 1
net.ipv6.conf.all.accept_redirects = 0
kernel.kptr_restrict = 2
kernel.dmesg_restrict = 1
fs.protected_fifos = 2
fs.protected_regular = 2
fs.suid_dumpable = 0
vm.swappiness = 1
"""

_BRIDGE_TEXT = """# Bridged allocations pass through the host's packet filter.
net.bridge.bridge-nf-call-iptables = 1
net.bridge.bridge-nf-call-ip6tables = 1
net.bridge.bridge-nf-call-arptables = 1
net.ipv4.ip_forward = 1
fs.inotify.max_user_instances = 1024
"""

_AUDIT_TEXT = """# Who changed what makes this machine a member, and who became root.
-w /etc/nomad.d/ -p wa -k cluster-config
-w /etc/consul.d/ -p wa -k cluster-config
-w /etc/vault.d/ -p wa -k cluster-config
-w /var/lib/keeper/tls/ -p wa -k cluster-keys
-w /etc/ssh/ -p wa -k sshd
-w /etc/sudoers -p wa -k privilege
-w /etc/sudoers.d/ -p wa -k privilege
-w /etc/passwd -p wa -k accounts
-w /etc/shadow -p wa -k accounts
-a always,exit -F arch=b64 -S execve -F euid=0 -F auid>=1000 -F auid!=unset -k root-commands
"""

_JOURNAL_TEXT = """# Bounded, kept over reboots, and handed to syslog, from where the Azure Monitor agent takes it to Log Analytics.
[Journal]
Storage=persistent
SystemMaxUse=2G
SystemKeepFree=1G
MaxRetentionSec=1month
ForwardToSyslog=yes
"""

_CHRONY_TEXT = f"""# The host's clock, which Azure keeps; a jump after a pause is put right at once.
refclock PHC {HOST_CLOCK} poll 3 dpoll -2 offset 0 stratum 2
makestep 1.0 -1
"""


_CONSEQUENCES = {
    MODULES: ["systemctl", "restart", "systemd-modules-load.service"],
    SYSCTL: ["sysctl", "--system"],
    AUDIT: ["augenrules", "--load"],
    JOURNAL: ["systemctl", "restart", "systemd-journald.service"],
    CHRONY: ["systemctl", "restart", "chrony.service"],
}
_OF_THE_KERNEL = {MODULES, SYSCTL, AUDIT}


def hardening_files(told: Told, *, host_clock: bool) -> list[File]:
    """Return the files; the host's clock is only named where there is one, or chrony would not start."""
    client = told.role is Role.CLIENT
    files = [
        File(SSHD, _SSHD_TEXT, 0o600),
        File(SYSCTL, _SYSCTL_TEXT + (_BRIDGE_TEXT if client else "")),
        File(AUDIT, _AUDIT_TEXT, 0o640),
        File(JOURNAL, _JOURNAL_TEXT),
    ]
    if client:
        files.append(File(MODULES, "br_netfilter\noverlay\n"))
    if host_clock:
        files.append(File(CHRONY, _CHRONY_TEXT))
    return files


def harden(machine: Machine, told: Told) -> list[str]:
    """Write what differs and make it count; return what had to change.

    The SSH configuration is tried before the daemon is told, and taken back when it is refused: nobody is locked out.
    """
    files = hardening_files(told, host_clock=machine.real_path(HOST_CLOCK) is not None)
    changed = ensure_all(machine, files)
    if SSHD in changed:
        _reload_sshd(machine)
    for path, argv in _CONSEQUENCES.items():
        if path in changed and not (path in _OF_THE_KERNEL and _in_container(machine)):
            _or_undo(machine, path, argv)
    return changed


def _in_container(machine: Machine) -> bool:
    """Tell whether the kernel belongs to somebody else, who alone may change its settings."""
    return machine.run(["systemd-detect-virt", "--container", "--quiet"]).code == 0


def _reload_sshd(machine: Machine) -> None:
    if machine.real_path(DAEMON) is None:
        return
    machine.ensure_folder(
        "/run/sshd"
    )  # the daemon wants it even for a trial, and a socket-activated one has not made it
    tried = machine.run([DAEMON, "-t"])
    if tried.code != 0:
        machine.remove(SSHD)
        raise NodeError(f"sshd refuses {SSHD} ({tried.last_words()}); it was taken back: look at /etc/ssh/sshd_config")
    must(machine, ["systemctl", "try-reload-or-restart", "ssh.service"], "look at `systemctl status ssh`")


def _or_undo(machine: Machine, path: str, argv: list[str]) -> None:
    """Run what makes `path` count; when that fails the file goes, so that the next run tries again."""
    done = machine.run(argv)
    if done.code != 0:
        machine.remove(path)
        must(machine, argv, f"{path} was taken back; look at `journalctl -xe`")
