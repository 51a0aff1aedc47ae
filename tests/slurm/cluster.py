#!/usr/bin/env python3
"""A Slurm cluster of one node on this machine, from Debian's packages: real daemons, two pretended GPUs, no systemd.

python tests/slurm/cluster.py snakemake --profile workflow/profiles/slurm …      (root; apt-get install slurm-wlm munge)

runs a command while the cluster is up. /etc/slurm/slurm.conf must not exist: srun reads its settings nowhere else.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel", "scontrol")
ETC = Path("/etc/slurm")
WAIT = 60.0  # seconds until the node must be idle
SETTINGS = """\
ClusterName=pagboost
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmdPort={other}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/munge.sock
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd.log
MpiDefault=none
MailProg=/bin/true
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SlurmdParameters=config_overrides
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
JobAcctGatherType=jobacct_gather/none
JobCompType=jobcomp/filetxt
JobCompLoc={folder}/log/ended
AccountingStorageType=accounting_storage/none
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=1
KillWait=5
OverTimeLimit=0
MinJobAge=3600
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs=8 RealMemory=16000 Gres=gpu:2
PartitionName=main Nodes={host} Default=YES MaxTime=1440 State=UP
"""


def missing() -> str:
    """Why no cluster can be brought up here; empty where one can."""
    absent = [program for program in PROGRAMS if shutil.which(program) is None]
    if absent:
        return f"no {absent[0]}: apt-get install slurm-wlm munge"
    if os.geteuid() != 0:
        return "not root"
    return f"{ETC}/slurm.conf exists: there is a cluster" if os.path.lexists(ETC / "slurm.conf") and not left() else ""


def left() -> bool:
    """Whether the settings are those of such a cluster whose processes were killed: its links may go."""
    link = ETC / "slurm.conf"
    try:
        pid = int((link.resolve().parent / "slurmctld.pid").read_text())
    except (OSError, ValueError):
        pid = 0
    ours = link.is_symlink() and link.resolve().parent.name.startswith("slurm-")
    return ours and not (pid and Path(f"/proc/{pid}").exists())


def die_with_parent() -> None:
    """Between fork and exec: end when the process that started this does."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


class Cluster:
    """The daemons, and what is to be asked of them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.host = folder, socket.gethostname().partition(".")[0]
        self.daemons: dict[str, subprocess.Popen] = {}
        for name in ("state", "spool", "log", "munge"):
            (folder / name).mkdir()
        key = folder / "munge" / "key"
        key.touch(mode=0o600)
        key.write_bytes(os.urandom(1024))
        for card in (0, 1):  # of /dev/null's kind: a count alone makes the node invalid
            os.mknod(folder / f"gpu{card}", 0o666 | 0o020000, os.makedev(1, 3))
        ports = [free_port(), free_port()]
        settings = SETTINGS.format(host=self.host, folder=folder, port=ports[0], other=ports[1])
        (folder / "slurm.conf").write_text(settings)
        (folder / "gres.conf").write_text(f"NodeName={self.host} Name=gpu File={folder}/gpu[0-1]\n")

    def start(self, name: str) -> None:
        """Start a daemon, as a child of this process."""
        munge = self.folder / "munge"
        options = {
            "munged": [f"--socket={munge}/munge.sock", f"--key-file={munge}/key", f"--pid-file={munge}/munged.pid"],
            "slurmctld": ["-D"],
            "slurmd": ["-D"],
        }
        options["munged"] += [f"--log-file={munge}/munged.log", f"--seed-file={munge}/seed", "--force", "--foreground"]
        with (self.folder / "log" / f"{name}.out").open("ab") as output:
            self.daemons[name] = subprocess.Popen(
                [name, *options[name]], stdout=output, stderr=output, preexec_fn=die_with_parent
            )

    def stop(self, name: str) -> None:
        daemon = self.daemons.pop(name)
        daemon.send_signal(signal.SIGTERM)
        try:
            daemon.wait(timeout=30)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()

    def ask(self, *command: str) -> str:
        """What a command of Slurm says; nothing where it fails."""
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60).stdout.strip()

    def jobs(self, folder: Path, states: str = "running") -> list[str]:
        """Ids of jobs in some states that were submitted in a folder, the latest last."""
        lines = self.ask("squeue", "--noheader", f"--states={states}", "--sort=i", "--format=%i %Z").splitlines()
        return [job for job, where in (line.split(" ", 1) for line in lines) if Path(where) == folder]

    def cancel(self, folder: Path) -> None:
        """Cancel what was submitted in a folder, and wait for its end."""
        while jobs := self.jobs(folder, "pending,running,completing"):
            self.ask("scancel", "--full", *jobs)
            time.sleep(0.5)

    def wait_until_up(self) -> None:
        end = time.monotonic() + WAIT
        while self.ask("sinfo", "--noheader", "--format=%T") not in ("idle", "mixed", "allocated"):
            if time.monotonic() > end:
                logs = "".join(path.read_text() for path in sorted((self.folder / "log").iterdir()))
                raise RuntimeError(f"no idle node after {WAIT:.0f} s:\n{logs}")
            time.sleep(0.2)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def cluster() -> Iterator[Cluster]:
    """A cluster in a temporary folder; at the end its jobs are cancelled, its daemons and files gone.

    Raises RuntimeError where there can be none.
    """
    if why := missing():
        raise RuntimeError(why)
    with tempfile.TemporaryDirectory(prefix="slurm-") as folder:
        made = Cluster(Path(folder))
        links = [ETC / "slurm.conf", ETC / "gres.conf"]
        ETC.mkdir(exist_ok=True)
        try:
            for link in links:
                link.unlink(missing_ok=True)  # of one that was killed
                link.symlink_to(made.folder / link.name)
            made.start("munged")
            while not (made.folder / "munge" / "munge.sock").exists():
                time.sleep(0.05)
            for name in ("slurmctld", "slurmd"):
                made.start(name)
            made.wait_until_up()
            yield made
            made.ask("scancel", "--user=root", "--full")
            end = time.monotonic() + WAIT
            while made.ask("squeue", "--noheader") and time.monotonic() < end:
                time.sleep(0.5)
        finally:
            for name in reversed(list(made.daemons)):
                made.stop(name)
            for link in links:
                link.unlink(missing_ok=True)


if __name__ == "__main__":
    if why := missing():
        sys.exit(f"error: {why}")
    with cluster():
        sys.exit(subprocess.run(sys.argv[1:], check=False).returncode)
