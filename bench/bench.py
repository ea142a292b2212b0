#!/usr/bin/env python3
"""Terminal session servers, measured side by side. See README.md."""

import argparse
import gc
import os
import platform
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import charts
import data
import measures
import peers
import processes
import report
from terminal import Control

HERE = os.path.dirname(os.path.abspath(__file__))
BASE = "raw"

# A step counts only if other virtual machines had less than this share of the CPUs meanwhile.
STOLEN = 0.02
TRIES = 3


class Bench:
    """What all measures share: the peers, the data, the clock."""

    def __init__(self, options):
        self.quick = options.quick
        self.budget = options.budget or (25 if self.quick else 150)
        self.patience = 0
        self.scratch = tempfile.mkdtemp(prefix="bench-")
        self.files = data.make(self.scratch)
        self.program = os.path.join(self.scratch, "program")
        subprocess.run([os.environ.get("CC", "cc"), "-O2", "-Wall", "-o", self.program,
                        os.path.join(HERE, "program.c")], check=True)
        self.control = Control(os.path.join(self.scratch, "control"))
        path = os.environ["PATH"]
        if "PEERS" in os.environ:
            path = os.pathsep.join([os.path.join(os.environ["PEERS"], "bin"),
                                    os.environ["PEERS"], path])
        environment = {
            "PATH": path, "TERM": "xterm-256color", "LANG": "C.UTF-8", "SHELL": "/bin/sh",
            "USER": os.environ.get("USER", "root"), "LOGNAME": os.environ.get("USER", "root"),
        }
        self.peers = [kind(self.scratch, environment) for kind in peers.ALL]
        if options.peers:
            wanted = options.peers.split(",")
            self.peers = [p for p in self.peers if p.name in wanted]
        self.missing = [p for p in self.peers if not p.installed()]
        self.peers = [p for p in self.peers if p.installed()]
        self._names = self._marks = 0

    def fresh_name(self):
        self._names += 1
        return f"s{self._names}"

    def fresh_marker(self):
        """A marker never used before, and a file with it."""
        self._marks += 1
        mark = data.marker(self._marks)
        path = os.path.join(self.scratch, f"mark{self._marks}")
        with open(path, "wb") as f:
            f.write(mark)
        return mark, path

    def write(self, name, content):
        self.files[name] = os.path.join(self.scratch, name)
        with open(self.files[name], "wb") as f:
            f.write(content)
        return self.files[name]

    def program_argv(self, name, show=None):
        argv = [self.program, self.control.path, name]
        return argv + [self.files[show]] if show else argv

    def attempt(self, record, peer, step):
        """Do one step for one peer; on failure note it and clean up."""
        try:
            step()
            return True
        except report.Failed as e:
            record.note(peer.name, f"failed: {e}")
        except Exception as e:  # one peer's trouble must not end the run
            record.note(peer.name, f"failed: {type(e).__name__} {e}".strip())
        peer.stop()
        return False

    def calm(self):
        """Wait, within --calm, until others leave the CPUs alone."""
        begin = time.monotonic()
        while self.patience > 0:
            before = processes.busy()
            time.sleep(0.5)
            if processes.busy() - before < 0.05:
                break
            self.patience -= time.monotonic() - begin
            begin = time.monotonic()

    def rounds(self, record, most, chosen, step, least=1):
        """Call step(peer, round) for A B C, C A B, … until the time is up.

        In another order each round: what one peer leaves behind, a machine that is
        hot or has used up its share of a host, is not always the next one's.
        """
        order = random.Random(1)
        chosen = list(chosen)
        end = time.monotonic() + self.budget
        for number in range(least if self.quick and most > least else most):
            if number >= least and time.monotonic() > end:
                break
            self.calm()
            for peer in order.sample(chosen, len(chosen)):
                if not self.attempt(record, peer,
                                    lambda: self.undisturbed(record, peer, number, step, end)):
                    chosen.remove(peer)

    def undisturbed(self, record, peer, number, step, end):
        """Do one step; again, while there is time, where others had the CPUs meanwhile."""
        for tries in range(1, TRIES + 1):
            begin, before = time.monotonic(), processes.stolen()
            step(peer, number)
            took = time.monotonic() - begin
            share = (processes.stolen() - before) / took / os.cpu_count()
            if share < STOLEN:
                return
            if tries == TRIES or time.monotonic() > end:
                break
            record.forget(peer.name, number)
            record.repeated += 1
        record.disturbed += 1

    def close(self):
        for peer in self.peers:
            peer.stop()
        left = [p.pid for p in processes.below()]
        if left:
            processes.end(left)
        shutil.rmtree(self.scratch, ignore_errors=True)


def describe(bench):
    return {
        "when": time.strftime("%Y-%m-%d %H:%M:%S"),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cpus": len(os.sched_getaffinity(0)),
        "load": [round(x, 2) for x in os.getloadavg()],
        "quick": bench.quick,
        "peers": {p.name: p.version() for p in bench.peers},
        "missing": [p.name for p in bench.missing],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer and smaller rounds")
    parser.add_argument("--only", metavar="A,B", help="these measures only")
    parser.add_argument("--skip", metavar="A,B", help="not these measures")
    parser.add_argument("--peers", metavar="A,B", help="these peers only")
    parser.add_argument("--json", metavar="FILE", help="write all samples there")
    parser.add_argument("--docs", metavar="FOLDER", help="draw charts and write a table there")
    parser.add_argument("--budget", type=float, metavar="S",
                        help="start no further round after this many seconds (per measure)")
    parser.add_argument("--calm", type=float, default=0, metavar="S",
                        help="wait before a round, up to this many seconds per measure,"
                             " until nobody else uses the CPUs")
    parser.add_argument("--list", action="store_true", help="list measures and peers")
    options = parser.parse_args()

    chosen = list(measures.ALL)
    for name in (options.only or "").split(",") + (options.skip or "").split(","):
        if name and name not in measures.ALL:
            parser.error(f"no measure called {name}")
    if options.only:
        chosen = [m for m in chosen if m in options.only.split(",")]
    if options.skip:
        chosen = [m for m in chosen if m not in options.skip.split(",")]

    processes.adopt_orphans()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # clean up then, too
    bench = Bench(options)
    records = []
    try:
        meta = describe(bench)
        print(f"{meta['system']}, {meta['cpus']} CPUs, load {meta['load']}, {meta['when']}")
        for name, version in meta["peers"].items():
            print(f"  {name:8} {version}")
        for peer in bench.missing:
            print(f"  {peer.name:8} not installed")
        print(flush=True)
        if options.list:
            for name in measures.ALL:
                print(f"  {name:15} {measures.ALL[name].__doc__.splitlines()[0]}")
            return
        for name in chosen:
            measure = measures.ALL[name]
            record = report.Record(name, measure.__doc__.splitlines()[0])
            begin = time.monotonic()
            gc.collect()
            gc.disable()
            bench.patience = options.calm
            bench.calm()
            try:
                measure(bench, record)
            finally:
                gc.enable()
                for peer in bench.peers:
                    peer.stop()
            record.sort(meta["peers"])
            records.append(record)
            print(record.as_text(BASE))
            print(f"  ({time.monotonic() - begin:.0f} s, load {os.getloadavg()[0]:.2f})\n", flush=True)
            if options.json:
                report.write_json(options.json, meta, records, BASE)
        if options.docs:
            charts.write(options.docs, meta, records, BASE)
        if len(records) > 1:
            print("== overview")
            print(report.overview(records, BASE))
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        bench.close()


if __name__ == "__main__":
    main()
