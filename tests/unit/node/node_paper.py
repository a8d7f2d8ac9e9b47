"""A machine on paper: its files lie under a temporary folder, its daemons and packages are a model, its tools are real.

`openssl`, `gpgv`, `tar`, `blkid`, `cmp`, `mkfs.ext4` and the like really run, on files below the folder; `systemctl`, `apt-get`
and whatever needs root or a kernel changes the model. Every command that changes anything is kept in `deeds`.
"""

import base64
import hashlib
import json
import shutil
import ssl
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from keepernode.machine import Done
from keepernode.problems import Unreachable
from keepernode.tls import split_pem
from keepernode.wire import Answer
from node_deposits import Deposits

REAL = {"openssl", "gpgv", "tar", "mv", "chmod", "blkid", "cmp", "mkfs.ext4", "python3", "uname"}
START = datetime(2026, 1, 31, 12, tzinfo=UTC)
DISK = "/dev/sdc"
GOSSIP = "Z29zc2lwLWNhbmFyeS1rZXktMzItYnl0ZXMtbG9uZyE="
TOKEN = "canary-watcher-token"


class Cut(Exception):
    """The power went off here."""


class PaperMachine:
    def __init__(self, root: Path, *, name="nomad-server-0", address="10.0.10.4"):
        self.root = root
        self.name, self.address = name, address
        self.time = START
        self.owners, self.users, self.packages = {}, {"root"}, set()
        self.active, self.enabled, self.loaded, self.deaf = set(), set(), {}, set()
        self.draining = set()  # deactivating: still at work, though no longer active
        self.secrets, self.forbidden = {}, False
        self.well = True
        self.sick_peers = set()
        self.peers_ca = ""  # the CA of what the other servers serve; empty: any
        self.site = {}
        self.events = {"DocumentIncarnation": 1, "Events": []}
        self.acknowledged = []
        self.deeds, self.argvs = [], []
        self.mounted = False
        self.broken = {}
        self.container = False
        self.cut_after = None
        self.imds_answers = True
        self.node = None
        self.shared, self.share_is_away = "", False
        self.regions = ["global"]
        self.deposits = Deposits()
        self.pauses = 0

    # Files

    def at(self, path):
        return self.root / path.lstrip("/")

    def read(self, path):
        try:
            return self.at(path).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def ensure(self, file):
        data = file.text.encode()
        held = self.at(file.path)
        if self.read(file.path) == data and self.owners.get(file.path) == (file.owner, file.mode):
            return False
        assert file.owner in self.users, f"{file.owner} is no user yet"
        self._deed(f"write {file.path}")
        held.parent.mkdir(parents=True, exist_ok=True)
        held.write_bytes(data)
        self.owners[file.path] = (file.owner, file.mode)
        return True

    def ensure_folder(self, path, *, mode=0o755, owner="root"):
        if self.at(path).is_dir() and self.owners.get(path) == (owner, mode):
            return False
        assert owner in self.users, f"{owner} is no user yet"
        self._deed(f"folder {path}")
        self.at(path).mkdir(parents=True, exist_ok=True)
        self.owners[path] = (owner, mode)
        return True

    def ensure_link(self, path, target):
        link = self.at(path)
        wanted = self.at(target)
        if link.is_symlink() and link.readlink() == wanted:
            return False
        self._deed(f"link {path}")
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(wanted)
        return True

    def remove(self, path):
        gone = self.at(path)
        if not gone.exists() and not gone.is_symlink():
            return False
        self._deed(f"remove {path}")
        shutil.rmtree(gone) if gone.is_dir() and not gone.is_symlink() else gone.unlink()
        self.owners = {held: whose for held, whose in self.owners.items() if not held.startswith(path)}
        return True

    def names_in(self, path):
        return sorted(each.name for each in self.at(path).iterdir()) if self.at(path).is_dir() else []

    def real_path(self, path):
        try:
            return "/" + str(self.at(path).resolve(strict=True).relative_to(self.root.resolve()))
        except OSError:
            return None

    # Commands

    def run(self, argv, *, timeout=120.0):
        self.argvs.append(list(argv))
        assert timeout > 0
        words = list(argv)
        if words[0] == "env":
            words = words[2:]
        broken = self.broken.get(" ".join(words[:2])) or self.broken.get(words[0])
        if broken is not None:
            return Done(1, "", broken)
        if words[0] in REAL:
            return self._really(words)
        return getattr(self, "_run_" + words[0].replace("-", "_").replace("/", "_"))(words)

    def _really(self, words):
        if words[0] in {"mv", "mkfs.ext4", "tar"}:
            self._deed(" ".join(words))
        mapped = [str(self.at(word)) if word.startswith("/") and word != "/dev/zero" else word for word in words]
        if words[0] == "python3":
            mapped[0] = sys.executable
        done = subprocess.run(mapped, capture_output=True, check=False)
        return Done(done.returncode, done.stdout.decode(), done.stderr.decode())

    def _run_systemctl(self, words):
        verb, units = words[1], [word.removesuffix(".service") for word in words[2:] if not word.startswith("-")]
        if verb == "is-active":
            return Done(0 if units[0] in self.active - self.draining else 3, "", "")
        if verb == "show":
            state = "deactivating" if units[0] in self.draining else "active"
            return Done(0, f"{state if units[0] in self.active else 'inactive'}\n", "")
        self._deed(" ".join(words))
        if units == ["srv-files.mount"]:
            self._mount_share(verb)
            return Done(1 if self.share_is_away and verb == "restart" else 0, "", "Job for srv-files.mount failed.")
        for unit in units:
            if verb in {"enable", "restart", "start", "reload", "kill"} and (verb != "enable" or "--now" in words):
                self._load(unit, verb)
            if verb == "enable":
                self.enabled.add(unit)
        if verb in {"stop", "disable"}:
            self.active -= set(units)
            self.enabled -= set(units) if verb == "disable" else set()
        return Done(0, "", "")

    def _load(self, unit, verb):
        if unit == "data.mount":
            self.mounted = True
            return
        assert verb != "reload" or unit in self.active
        self.active.add(unit)
        certificate = self.read(f"/var/lib/keeper/tls/{unit}/current/cert.pem")
        if certificate and not (verb == "reload" and unit in self.deaf):
            self.loaded[unit] = certificate

    def _run_getent(self, words):
        return Done(0 if words[2] in self.users else 2, "", "")

    def _run_useradd(self, words):
        self._deed(" ".join(words))
        self.users.add(words[-1])
        return Done(0, "", "")

    def _run_dpkg_query(self, words):
        return Done(0, "installed", "") if words[-1] in self.packages else Done(1, "", "no such package")

    def _run_apt_get(self, words):
        self._deed(" ".join(words))
        if "install" in words:
            self.packages |= {word for word in words[words.index("install") :] if not word.startswith("-")}
        return Done(0, "", "")

    def _run_lsblk(self, words):
        done = subprocess.run(["blkid", "--probe", str(self.at(words[-1]))], capture_output=True, check=False)
        return Done(0, "sdc\n" + ("sdc1\n" if b"PTTYPE" in done.stdout else ""), "")

    def _run_blockdev(self, words):
        return Done(0, f"{self.at(words[-1]).stat().st_size}\n", "")

    def _run_findmnt(self, words):
        source = self.shared if words[-1] == "/srv/files" else DISK if self.mounted else ""
        return Done(0, f"{source}\n", "") if source else Done(1, "", "")

    def _run_chattr(self, _words):
        return Done(0, "", "")

    def _run_stat(self, _words):
        return Done(0, "", "")

    def _mount_share(self, verb):
        if verb == "disable":
            self.shared = ""
        elif verb == "restart" and not self.share_is_away:
            unit = self.read("/etc/systemd/system/srv-files.mount").decode()
            self.shared = unit.partition("What=")[2].split("\n")[0]

    def _quiet(self, words):
        self._deed(" ".join(words))
        return Done(0, "", "")

    _run_sysctl = _run_augenrules = _quiet

    def _run_systemd_detect_virt(self, _words):
        return Done(0 if self.container else 1, "", "")

    def _run__usr_sbin_sshd(self, _words):
        return Done(0, "", "")

    def _deed(self, what):
        if self.cut_after is not None and len(self.deeds) >= self.cut_after:
            raise Cut(what)
        self.deeds.append(what)

    # The world outside

    def ask(self, method, url, *, headers=None, body=b"", trust=None, timeout=10.0):
        assert timeout > 0
        parts = urlsplit(url)
        if parts.hostname == "169.254.169.254":
            assert headers == {"Metadata": "true"}
            return self._imds(method, parts.path, body)
        if self.deposits.answers(url):
            return self.deposits.ask(method, url, headers, body)
        if parts.hostname.endswith(".vault.azure.net"):
            assert headers == {"Authorization": "Bearer token-for-https://vault.azure.net"}
            return self._vault(parts.path.rpartition("/")[2])
        assert trust.ca_file.endswith("/ca.pem")
        if parts.path.startswith("/v1/node/") and self.node is not None:
            return self.node.answer(method, parts.path, headers, body)
        unit = parts.path.split("/")[1] and {4646: "nomad", 8501: "consul", 8200: "vault"}[parts.port]
        local = parts.hostname == "127.0.0.1"
        up = (self.well and unit in self.active) if local else self._peer_is_up(parts.hostname, trust)
        if not up:
            raise Unreachable(f"no answer from {url}")
        return Answer(200, {}, json.dumps(self.regions if parts.path == "/v1/regions" else "10.0.10.4:8300").encode())

    def _peer_is_up(self, address, trust):
        believed = self.peers_ca in self.read(trust.ca_file).decode()
        return believed and address not in self.sick_peers

    def _imds(self, method, path, body):
        if not self.imds_answers:
            raise Unreachable("the instance metadata service does not answer")
        if path == "/metadata/instance":
            address = {"privateIpAddress": self.address, "publicIpAddress": ""}
            compute = {"name": self.name, "zone": "2", "priority": "Spot", "vmScaleSetName": "vmss-general"}
            network = {"interface": [{"ipv4": {"ipAddress": [address]}}]}
            return Answer(200, {}, json.dumps({"compute": compute, "network": network}).encode())
        if method == "POST":
            self.acknowledged += [each["EventId"] for each in json.loads(body)["StartRequests"]]
            return Answer(200, {}, b"")
        return Answer(200, {}, json.dumps(self.events).encode())

    def _vault(self, name):
        if self.forbidden:
            return Answer(403, {}, b'{"error":{"code":"Forbidden"}}')
        if name not in self.secrets:
            return Answer(404, {}, b'{"error":{"code":"SecretNotFound"}}')
        return Answer(200, {}, json.dumps({"value": self.secrets[name], "id": f"https://v/secrets/{name}/1"}).encode())

    def download(self, url, path):
        if url not in self.site:
            raise Unreachable(f"cannot download {url}: HTTP 404")
        self._deed(f"download {url}")
        self.at(path).write_bytes(self.site[url])
        return hashlib.sha256(self.site[url]).hexdigest()

    def bearer(self, resource):
        return f"Bearer token-for-{resource}"

    def served_certificate(self, address, port, trust):
        assert address == "127.0.0.1"
        unit = {4646: "nomad", 8501: "consul", 8200: "vault"}[port]
        if unit not in self.loaded:
            raise Unreachable("nobody listens")
        assert self.at(trust.ca_file).exists()
        return ssl.PEM_cert_to_DER_cert(
            split_pem(
                self.loaded[unit].decode() + "-----BEGIN PRIVATE KEY-----x-----END PRIVATE KEY-----",
                self.loaded[unit].decode(),
            ).leaf
        )

    def now(self):
        return self.time

    def pause(self, seconds):
        self.pauses += 1
        self.time += timedelta(seconds=seconds)


def disk_with(machine, content=None, size=64 * 1024 * 1024):
    """Attach a data disk at LUN 0: a sparse file behind Azure's link."""
    disk = machine.at(DISK)
    disk.parent.mkdir(parents=True, exist_ok=True)
    with disk.open("wb") as out:
        out.truncate(size)
        if content is not None:
            out.write(content)
    link = machine.at("/dev/disk/azure/scsi1/lun0")
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(disk)
    return disk


def user_data(role="server", **knobs):
    """Made as the templates make it."""
    base = {
        "cluster": "lab",
        "vaultUrl": f"https://kv-{role}.vault.azure.net",
        "identityClientId": "5e29463d-71da-4fe0-8e69-999b57db23b0",
        "nomadVersion": "1.10.5",
        "servers": [{"name": f"nomad-server-{n}", "address": f"10.0.10.{4 + n}"} for n in range(3)],
    }
    if role == "server":
        base |= {"queueUrl": "https://account.queue.core.windows.net/keeper", "dataDiskLun": 0}
    return json.dumps({"schema": 1, "role": role, "knobs": base | knobs, "sha256": ""})


def b64(data):
    return base64.b64encode(data).decode()


def _python_3_10():
    """Find an interpreter that answers: version managers' stand-ins on PATH may not."""
    home = Path.home() / ".pyenv" / "versions"
    for candidate in [*sorted(home.glob("3.10*/bin/python3.10")), shutil.which("python3.10")]:
        if candidate and subprocess.run([candidate, "-c", "pass"], capture_output=True, check=False).returncode == 0:
            return str(candidate)
    return None


PYTHON_3_10 = _python_3_10()
"""The machines' own Python, where there is one; else None."""
