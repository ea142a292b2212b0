"""How to drive each peer: start a session, attach, list, kill, find the server.

Every peer gets a home, a runtime folder and a configuration of its own, below
the harness's scratch folder, so that nobody's own settings or sessions count.
"""

import os
import select
import shlex
import shutil
import socket
import subprocess
import time

import processes
from folder import Folder
from report import Failed
from terminal import COLUMNS, ROWS, Client, Late, now, open_terminal


class Peer(Folder):
    name = ""
    binary = ""           # what is looked for in PATH …
    variable = ""         # … unless this variable names it (default BENCH_<NAME>)
    server_exes = ()      # names of the server's executables; default: the binary
    version_argv = ("--version",)
    detaches = True       # can start and leave a session with nobody attached
    attaches = True       # can be attached to again, and twice
    lists = True
    restores = True       # the server keeps a screen and paints it on attach
    keeps_history = True  # the length of its scrollback can be set
    sends_history = False  # to the terminal's own scrollback, on attach
    needs_visit = False   # the program starts or runs only after a first attach
    most_sessions = 1000  # how many sessions it is asked for in `scale`

    def __init__(self, scratch, environment):
        self.folder = os.path.join(scratch, self.name)
        self.environment = environment
        self.path = self.find(self.variable or f"BENCH_{self.name.upper()}", self.binary)
        self.history = None
        self.clients = []
        self.console = None

    def find(self, variable, binary):
        """A program: where the variable says, or in PATH."""
        return shutil.which(os.environ.get(variable, binary), path=self.environment["PATH"])

    # -- what each peer defines ------------------------------------------------

    def configure(self):
        """Write configuration files (self.history may be set)."""

    def create_argv(self, name, program):
        raise NotImplementedError

    def attach_argv(self, name):
        raise NotImplementedError

    def list_argv(self):
        return None

    def kill_argv(self, name):
        return None

    def stop_argv(self):
        return None

    # -- what is the same for all ----------------------------------------------

    def installed(self):
        return self.path is not None

    def version(self):
        try:
            done = subprocess.run([self.path, *self.version_argv], env=self.environment,
                                  stdin=subprocess.DEVNULL, capture_output=True, timeout=10)
        except (OSError, subprocess.TimeoutExpired):
            return "?"
        lines = (done.stdout + done.stderr).decode(errors="replace").split("\n")
        return lines[0].strip()

    def start(self, history=None):
        """A fresh, empty state; nothing runs yet."""
        self.stop()
        self.history = history
        shutil.rmtree(self.folder, ignore_errors=True)
        for sub in ("home", "run"):
            os.makedirs(os.path.join(self.folder, sub), mode=0o700)
        self.env = dict(
            self.environment,
            HOME=os.path.join(self.folder, "home"),
            XDG_RUNTIME_DIR=os.path.join(self.folder, "run"),
        )
        self.configure()

    def run(self, argv, limit=20.0):
        """Run one of the peer's commands to its end: (output, nanoseconds)."""
        if self.console is None:
            self.console = open_terminal()
        master, slave = self.console
        begin = now()
        pid = os.posix_spawnp(argv[0], argv, self.env, file_actions=[
            (os.POSIX_SPAWN_DUP2, slave, fd) for fd in (0, 1, 2)])
        handle = os.pidfd_open(pid)
        output, took = b"", None
        try:
            while True:
                wait = 0 if took else limit - (now() - begin) / 1e9
                ready = select.select([master, handle], [], [], max(0, wait))[0]
                if handle in ready and took is None:
                    took = now() - begin
                if master in ready:
                    output += os.read(master, 1 << 16)
                elif took is not None:
                    break
                elif not ready:
                    processes.end([pid])
                    raise Failed(f"{os.path.basename(argv[0])} hangs")
        finally:
            os.close(handle)
        try:
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        except ChildProcessError:
            code = 0
        if code:
            text = output.decode(errors="replace").strip().replace("\r\n", " / ")
            raise Failed(f"{os.path.basename(argv[0])} exits with {code}: {text[-200:]}")
        return output, took

    def create(self, name, program):
        """Start a session with nobody attached; nanoseconds the command took."""
        return self.run(self.create_argv(name, program))[1]

    def attach(self, name, program=None):
        return self._show(self.attach_argv(name))

    def attach_bare(self, name):
        """Attach without history, where the server sends some otherwise."""
        return self._show(self.bare_argv(name))

    def _show(self, argv):
        client = Client(argv, self.env)
        self.clients.append(client)
        return client

    def attach_over(self, host, name, program):
        """Attach on another machine, which the harness's `ssh` knows as `far`."""
        argv = program if program and not self.attaches else self.attach_argv(name)
        client = Client([host.ssh, "-tt", "far", shlex.join(argv)], self.env)
        self.clients.append(client)
        return client

    def detach(self, client):
        """Leave, as one closes a terminal window."""
        client.close()
        if client in self.clients:
            self.clients.remove(client)

    def list(self):
        return self.run(self.list_argv())

    def kill(self, name):
        if argv := self.kill_argv(name):
            return self.run(argv)[1]

    def servers(self):
        """The pids of this peer's servers, not of its clients."""
        exes = self.server_exes or (os.path.basename(os.path.realpath(self.path)),)
        ours = {c.pid for c in self.clients}
        return [p.pid for p in processes.below()
                if p.exe in exes and p.session not in ours]

    def stop(self):
        """End everything that this peer still has running."""
        for client in self.clients:
            client.kill()
        self.clients = []
        if self.path and os.path.isdir(self.folder):
            if (argv := self.stop_argv()) and self.servers():
                try:
                    self.run(argv, limit=5)
                except Failed:
                    pass
            processes.end(self.servers())
        if self.console:
            for fd in self.console:
                os.close(fd)
            self.console = None


class Raw(Peer):
    """The program straight on the terminal: the physical limit."""

    name = "raw"
    detaches = attaches = lists = restores = keeps_history = False

    def installed(self):
        return True

    def version(self):
        return ""

    def servers(self):
        return []

    def attach(self, name, program=None):
        client = Client(program, self.env)
        self.clients.append(client)
        return client

    def stop(self):
        for client in self.clients:
            client.kill()
        self.clients = []


class Dtach(Peer):
    name = binary = "dtach"
    lists = restores = keeps_history = False

    def create_argv(self, name, program):
        return [self.path, "-n", self.file(name), *program]

    def attach_argv(self, name):
        return [self.path, "-a", self.file(name), "-r", "winch"]


class Abduco(Peer):
    name = binary = "abduco"
    version_argv = ("-v",)
    restores = keeps_history = False
    needs_visit = True

    def configure(self):
        self.env["ABDUCO_SOCKET_DIR"] = self.folder

    def create_argv(self, name, program):
        return [self.path, "-n", name, *program]

    def attach_argv(self, name):
        return [self.path, "-a", name]

    def list_argv(self):
        return [self.path]


class Tmux(Peer):
    name = binary = "tmux"
    version_argv = ("-V",)

    def configure(self):
        lines = ["set -g status off"]
        if self.history:
            lines.append(f"set -g history-limit {self.history}")
        self.file("tmux.conf", "\n".join(lines) + "\n")
        self.env["TMUX_TMPDIR"] = self.folder
        self.tmux = [self.path, "-f", self.file("tmux.conf"), "-L", "bench"]

    def create_argv(self, name, program):
        return [*self.tmux, "new-session", "-d", "-s", name, "-x", str(COLUMNS), "-y", str(ROWS),
                *program]

    def attach_argv(self, name):
        return [*self.tmux, "attach", "-t", name]

    def list_argv(self):
        return [*self.tmux, "list-sessions"]

    def kill_argv(self, name):
        return [*self.tmux, "kill-session", "-t", name]

    def stop_argv(self):
        return [*self.tmux, "kill-server"]


class Screen(Peer):
    name = binary = "screen"

    def configure(self):
        lines = ["startup_message off", "deflogin off", "defutf8 on"]
        if self.history:
            lines.append(f"defscrollback {self.history}")
        self.file("screenrc", "\n".join(lines) + "\n")
        self.env["SCREENDIR"] = os.path.join(self.folder, "run")
        self.screen = [self.path, "-c", self.file("screenrc")]

    def create_argv(self, name, program):
        return [*self.screen, "-U", "-dmS", name, *program]

    def attach_argv(self, name):
        return [*self.screen, "-U", "-x", name]

    def list_argv(self):
        # "screen -ls" exits with 1 in some versions though all is well.
        return ["/bin/sh", "-c", shlex.join([*self.screen, "-ls"]) + "; true"]

    def kill_argv(self, name):
        return [*self.screen, "-S", name, "-X", "quit"]


class Shpool(Peer):
    name = binary = "shpool"
    version_argv = ("version",)
    needs_visit = True
    most_sessions = 200

    def configure(self):
        lines = ['prompt_prefix = ""', 'motd = "never"']
        if self.history:
            lines.append(f"output_spool_lines = {self.history}")
        self.file("config.toml", "\n".join(lines) + "\n")
        self.shpool = [self.path, "-c", self.file("config.toml"), "-s", self.file("socket")]

    def create_argv(self, name, program):
        return [*self.shpool, "attach", "-b", "-c", shlex.join(program), name]

    def attach(self, name, program=None):
        # It refuses an attach until it has noticed that the last client is gone.
        end = now() + 1e9
        while now() < end and f"{name}\tattached" in self.list()[0].decode():
            time.sleep(0.01)
        return super().attach(name, program)

    def attach_argv(self, name):
        return [*self.shpool, "attach", name]

    def list_argv(self):
        return [*self.shpool, "list"]

    def kill_argv(self, name):
        return [*self.shpool, "kill", name]


class Zellij(Peer):
    name = binary = "zellij"
    needs_visit = True
    most_sessions = 20

    def configure(self):
        self.created = {}
        self.env["ZELLIJ_SOCKET_DIR"] = os.path.join(self.folder, "run")
        self.file("bare.kdl", "layout {\n  pane\n}\n")  # no bars
        self.zellij = [self.path, "--config", self.file("config.kdl", self.settings())]

    def settings(self, shell=None):
        lines = [
            "pane_frames false", "session_serialization false", "show_startup_tips false",
            "show_release_notes false", "simplified_ui true", "mouse_mode false",
            "web_server false", 'on_force_close "detach"', "load_plugins {\n}",
            f'layout_dir "{self.folder}"', 'default_layout "bare"',
        ]
        if self.history:
            lines.append(f"scroll_buffer_size {self.history}")
        if shell:
            lines.append(f'default_shell "{shell}"')
        return "\n".join(lines) + "\n"

    def create_argv(self, name, program):
        # It starts a shell only; so the program is this session's shell.
        shell = self.file(f"{name}.sh", f"#!/bin/sh\nexec {shlex.join(program)}\n")
        os.chmod(shell, 0o700)
        config = self.file(f"{name}.kdl", self.settings(shell))
        return [self.path, "--config", config, "attach", "--create-background", name]

    def create(self, name, program):
        took = super().create(name, program)
        self.created[name] = now()
        return took

    def attach(self, name, program=None):
        # Just after its creation a session is often not found.
        time.sleep(max(0, self.created[name] / 1e9 + 0.5 - now() / 1e9))
        return super().attach(name, program)

    def attach_argv(self, name):
        return [*self.zellij, "attach", name]

    def list_argv(self):
        return [*self.zellij, "list-sessions", "--no-formatting"]

    def kill_argv(self, name):
        return [*self.zellij, "kill-session", name]


class Mosh(Peer):
    """mosh-server and mosh-client over loopback UDP; one client for life."""

    name, binary = "mosh", "mosh-server"
    server_exes = ("mosh-server",)
    attaches = lists = restores = keeps_history = False
    needs_visit = True
    most_sessions = 0

    def __init__(self, scratch, environment):
        super().__init__(scratch, environment)
        self.client_path = self.find("BENCH_MOSH_CLIENT", "mosh-client")
        self.keys = {}

    def installed(self):
        return self.path is not None and self.client_path is not None

    def create_argv(self, name, program):
        return [self.path, "new", "-i", "127.0.0.1", "-c", "256", "--", *program]

    def create(self, name, program):
        output, took = self.run(self.create_argv(name, program))
        for line in output.decode(errors="replace").split("\n"):
            words = line.split()
            if words[:2] == ["MOSH", "CONNECT"]:
                self.keys[name] = words[2:4]
                return took
        raise Failed("no MOSH CONNECT line")

    def attach(self, name, program=None):
        port, key = self.keys.pop(name)
        client = Client([self.client_path, "127.0.0.1", port],
                        dict(self.env, MOSH_KEY=key, MOSH_PREDICTION_DISPLAY="never"))
        self.clients.append(client)
        return client

    def detach(self, client):
        client.kill()  # any other way ends the session too
        self.clients.remove(client)


class Et(Peer):
    """Eternal Terminal over loopback TCP; one client for life.

    Its client asks ssh to start the far end. Here a stand-in for ssh runs that
    command on the spot, so that no sshd and no keys are needed.
    """

    name, binary = "et", "et"
    server_exes = ("etserver", "etterminal")
    attaches = lists = restores = keeps_history = False
    needs_visit = True
    most_sessions = 0

    def __init__(self, scratch, environment):
        super().__init__(scratch, environment)
        self.server_path = self.find("BENCH_ETSERVER", "etserver")
        self.terminal_path = self.find("BENCH_ETTERMINAL", "etterminal")

    def installed(self):
        return None not in (self.path, self.server_path, self.terminal_path)

    def configure(self):
        ssh = self.file("ssh", '#!/bin/sh\nfor command; do :; done\nexec /bin/sh -c "$command"\n')
        os.chmod(ssh, 0o700)
        self.env["PATH"] = self.folder + os.pathsep + self.env["PATH"]
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = str(probe.getsockname()[1])

    def create(self, name, program):
        if self.servers():
            return None
        took = self.run([self.server_path, "--daemon", "--port", self.port, "--bindip", "127.0.0.1",
                         "--serverfifo", self.file("fifo"), "--pidfile", self.file("pid"),
                         "--logdir", self.folder, "--telemetry=false"])[1]
        end = now() + 5e9
        while now() < end:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", int(self.port))) == 0:
                    return took
            time.sleep(0.01)
        raise Failed("etserver does not listen")

    def attach(self, name, program=None):
        client = Client([self.path, "--port", self.port, "--serverfifo", self.file("fifo"),
                         "--terminal-path", f"{self.terminal_path} --logdir {self.folder}",
                         "--logdir", self.folder, "--telemetry=false",
                         "--command", "exec " + shlex.join(program), "127.0.0.1"], self.env)
        self.clients.append(client)
        return client

    def detach(self, client):
        client.kill()  # it waits for this very client to come back
        self.clients.remove(client)


class Psess(Peer):
    name = binary = "psess"
    variable = "PSESS"
    sends_history = True

    def configure(self):
        self.env["PSESS_DIR"] = os.path.join(self.folder, "run")
        self.env["PATH"] = os.path.dirname(self.path) + os.pathsep + self.env["PATH"]
        if self.history:
            self.env["PSESS_HISTORY_LINES"] = str(self.history)
            self.env["PSESS_HISTORY_BYTES"] = "16M"

    def create_argv(self, name, program):
        return [self.path, "new", "-d", name, "--", *program]

    def attach_argv(self, name):
        return [self.path, "attach", name]

    def bare_argv(self, name):
        return [*self.attach_argv(name), "--history", "none"]

    def attach_over(self, host, name, program):
        # It looks for ssh in PATH, and for itself over there.
        path = os.pathsep.join([os.path.dirname(host.ssh), self.env["PATH"]])
        client = Client(self.attach_argv(f"far:{name}"), dict(self.env, PATH=path))
        self.clients.append(client)
        return client

    def list_argv(self):
        return [self.path, "ls"]

    def kill_argv(self, name):
        # On a terminal, kill asks when something runs.
        return [self.path, "kill", "--yes", name]


ALL = [Raw, Psess, Dtach, Abduco, Tmux, Screen, Shpool, Zellij, Mosh, Et]


class Session:
    """A session of a peer with the benchmark's program in it."""

    def __init__(self, bench, peer, name=None, show=None):
        self.bench, self.peer = bench, peer
        self.name = name or bench.fresh_name()
        self.argv = bench.program_argv(self.name, show)
        self.client = self.program = None
        self.took = None
        self.begun = now()
        if peer.detaches:
            self.took = peer.create(self.name, self.argv)
            if not peer.needs_visit:
                self.await_program()

    def await_program(self):
        if self.program is None:
            try:
                self.program = self.bench.control.program(self.name, client=self.client)
            except Late as e:
                raise Failed(str(e)) from None

    def attach(self, settle=True, bare=False):
        self.client = (self.peer.attach_bare(self.name) if bare
                       else self.peer.attach(self.name, self.argv))
        if settle:
            self.await_program()
            self.client.settle()
        return self.client

    def attach_over(self, host):
        self.client = self.peer.attach_over(host, self.name, self.argv)
        self.await_program()
        self.client.settle(first=10)
        return self.client

    def visit(self):
        """Attach and leave, where without that the program does not run."""
        if self.peer.needs_visit:
            self.attach()
            self.detach()

    def detach(self):
        if self.client:
            self.peer.detach(self.client)
            self.client = None

    def show(self, file):
        """Let the program write a file, and see it through."""
        self.program.ask(f"show {self.bench.files[file]}")
        self.program.reply(client=self.client)
        if self.client:
            self.client.settle()
