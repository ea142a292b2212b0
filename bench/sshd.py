"""A second machine: this one once more, behind an sshd with keys and a port of its own."""

import os
import shutil
import socket
import subprocess
import time

import processes
from folder import Folder
from report import Failed

PROGRAMS = ("sshd", "ssh", "ssh-keygen")


def _find(name):
    return shutil.which(name, path=os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/sbin"]))


def missing():
    """Why there can be no second machine, if that is so."""
    for name in PROGRAMS:
        if _find(name) is None:
            return f"no {name} is installed"
    return None


class Host(Folder):
    """A running sshd, whose sessions have `env`. `ssh` is a program that knows it as `far`."""

    def __init__(self, folder, env):
        self.folder = os.path.join(folder, "ssh")
        os.makedirs(self.folder, mode=0o700)
        for key in ("host_key", "user_key"):
            subprocess.run([_find("ssh-keygen"), "-q", "-t", "ed25519", "-N", "",
                            "-f", self.file(key)], check=True)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        if os.getuid() == 0:  # sshd wants it, and makes it only from a service file
            os.makedirs("/run/sshd", mode=0o755, exist_ok=True)
        self.log = open(self.file("log"), "wb")
        self.process = subprocess.Popen(
            [_find("sshd"), "-D", "-e", "-f", self.file("sshd_config", self.settings(port, env))],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        self.ssh = self.file("ssh", f"#!/bin/sh\nexec {_find('ssh')} -F {self.file('config')} \"$@\"\n")
        os.chmod(self.ssh, 0o700)
        self.file("config", f"""Host far
 HostName 127.0.0.1
 Port {port}
 IdentityFile {self.file("user_key")}
 IdentitiesOnly yes
 IdentityAgent none
 UserKnownHostsFile {self.file("known_hosts")}
 StrictHostKeyChecking accept-new
 LogLevel ERROR
""")
        self.await_listening(port)

    def settings(self, port, env):
        sets = " ".join(f'"{name}={value}"' for name, value in env.items() if name != "TERM")
        return f"""Port {port}
ListenAddress 127.0.0.1
HostKey {self.file("host_key")}
AuthorizedKeysFile {self.file("user_key.pub")}
PidFile none
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM {"yes" if locked() else "no"}
StrictModes no
UseDNS no
PrintMotd no
PrintLastLog no
SetEnv {sets}
"""

    def await_listening(self, port):
        end = time.monotonic() + 10
        while time.monotonic() < end and self.process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            time.sleep(0.01)
        self.close()
        with open(self.file("log"), errors="replace") as f:
            raise Failed(f"sshd does not listen: {f.read().strip()[-200:]}")

    def close(self):
        pids = [self.process.pid] + [p.pid for p in processes.below(self.process.pid)]
        processes.end(pids)
        self.log.close()


def locked():
    """Without PAM, sshd refuses a locked account even with a key."""
    try:
        with open("/etc/shadow") as f:
            return any(line.startswith("root:!") for line in f)
    except OSError:
        return False
