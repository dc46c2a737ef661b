# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The dpdk-bar-lease authors
"""What scenarios are written with: devices, testpmd processes, the host, /proc, verdicts."""

import atexit
import contextlib
import glob
import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import termios
import threading
import time

PORT0 = "0000:01:00.0"
PORT1 = "0000:02:00.0"
PORTS = (PORT0, PORT1)
SHARED_PAGE_PORT = "0000:03:00.0"  # page-per-vq off: all its doorbells share a page

# No driver of the guest's kernel wants these; the machine no-iommu lacks them.
IVSHMEM = "0000:04:00.0"  # BAR 2: 64 MiB of RAM, prefetchable
BOCHS = "0000:05:00.0"    # BAR 0: 16 MiB of RAM, prefetchable
EDU = "0000:06:00.0"      # BAR 0: 1 MiB of registers, not prefetchable
BAR_DEVICES = (IVSHMEM, BOCHS, EDU)

PREFIX = "/opt/bar-lease"
PROGRAMS = f"{PREFIX}/usr/libexec/dpdk-bar-lease"
EXAMPLES = f"{PREFIX}/examples"  # DPDK's own
LOGS = "/tmp/log"
RELEASE = os.uname().release


# Verdicts

class CheckFailed(Exception):
    """A scenario's claim does not hold."""


def check(condition, message):
    if not condition:
        raise CheckFailed(message)


def skip(reason):
    print(f"skip: {reason}", flush=True)
    sys.exit(77)


def report(text):
    """Print a measurement or an observation that is shown also when the test passes."""
    print("\n".join("# " + line for line in text.splitlines()), flush=True)


def wait_until(condition, seconds, what):
    """Poll until condition() is true and return its value; fail the scenario after seconds."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        check(time.monotonic() < deadline, f"waited {seconds} s in vain for: {what}")
        time.sleep(0.05)
    return value


def _report_failure(kind, error, trace):
    if issubclass(kind, CheckFailed):
        while trace.tb_next and trace.tb_next.tb_frame.f_code.co_filename != __file__:
            trace = trace.tb_next
        print(f"FAILED at line {trace.tb_lineno}: {error}", flush=True)
    else:
        sys.__excepthook__(kind, error, trace)
    for process in Program.started:
        print(f"--- {process.name}, pid {process.pid}, last lines printed and logged:")
        print("\n".join(process.last_lines(15)), flush=True)


sys.excepthook = _report_failure


def _end_of_time(*_):
    raise CheckFailed("the scenario's time is over")


signal.signal(signal.SIGTERM, _end_of_time)


# Devices and modules

def write(path, text):
    with open(path, "w") as file:
        file.write(text)


def driver_of(bdf):
    try:
        return os.path.basename(os.readlink(f"/sys/bus/pci/devices/{bdf}/driver"))
    except FileNotFoundError:
        return None


def unbind(bdf):
    if driver_of(bdf):
        write(f"/sys/bus/pci/devices/{bdf}/driver/unbind", bdf)


def bind(bdf, driver):
    """Bind to a driver by driver_override, as the guides tell the user to."""
    unbind(bdf)
    write(f"/sys/bus/pci/devices/{bdf}/driver_override", driver)
    write("/sys/bus/pci/drivers_probe", bdf)
    check(driver_of(bdf) == driver, f"{bdf}: bound to {driver_of(bdf)}, not to {driver}")


def clear_override(bdf):
    write(f"/sys/bus/pci/devices/{bdf}/driver_override", "\n")


def loaded(name):
    """The kernel writes every - of a module's name as _."""
    return os.path.exists(f"/sys/module/{name.replace('-', '_')}")


def load_module(name, *parameters):
    """Load one of the project's modules, unless it is, after those that it depends on."""
    path = f"{PREFIX}/modules/{RELEASE}/{name}.ko"
    check(os.path.exists(path), f"{path} was not built")
    if loaded(name):
        return
    needs = subprocess.check_output(["modinfo", "-F", "depends", path], text=True).strip()
    for module in filter(None, needs.split(",")):
        if os.path.exists(f"{PREFIX}/modules/{RELEASE}/{module}.ko"):
            load_module(module)
        else:
            subprocess.run(["modprobe", module], check=True)
    subprocess.run(["insmod", path, *parameters], check=True)


def unload_module(name):
    if loaded(name):
        subprocess.run(["rmmod", name], check=True)


def driver_plugin():
    """The driver's shared object, for -d."""
    found = glob.glob(f"{PREFIX}/usr/lib/dpdk/pmds*/librte_net_virtio_lease.so")
    check(found, "librte_net_virtio_lease.so was not built")
    return found[0]


# The kernel's log

_BAD_KERNEL_LOG = re.compile(
    r"BUG:|WARNING:|Oops|lockdep|KASAN|UBSAN|general protection|Call Trace|refcount_t"
    r"|possible circular|blocked for more than|unable to handle")


def mark_kernel_log(text):
    write("/dev/kmsg", f"<5>lab: {text}\n")


def kernel_log(since=None):
    """The log's lines, or those after the last mark_kernel_log(since)."""
    lines = subprocess.check_output(["dmesg"], text=True, errors="replace").splitlines()
    if since is not None:
        marks = [i for i, line in enumerate(lines) if line.endswith(f"lab: {since}")]
        lines = lines[marks[-1] + 1:] if marks else lines
    return lines


def bad_kernel_log(lines):
    """Complaints. That of a process that reached the limit of its own memory group is none."""
    bad, oom = [], False
    for line in lines:
        oom = oom or "invoked oom-killer" in line
        if not oom and _BAD_KERNEL_LOG.search(line):
            bad.append(line)
        oom = oom and "Memory cgroup out of memory: Killed process" not in line
    return bad


_KMEMLEAK = "/sys/kernel/debug/kmemleak"


def kernel_leaks():
    """What kmemleak of a debug kernel takes for leaked, a text for each object."""
    for _ in range(2):
        time.sleep(6)  # younger objects are not reported
        write(_KMEMLEAK, "scan")
    with open(_KMEMLEAK) as file:
        return re.findall(r"^unreferenced object .*\n(?: .*\n)*", file.read(), re.M)


# The host

class Host:
    """Asks the host's agent over ttyS2. One scenario runs at a time, so one request does too."""

    def __init__(self):
        self._lock = threading.Lock()

    def ask(self, request):
        """Return the lines of the reply."""
        with self._lock, open("/dev/ttyS2", "r+b", buffering=0) as tty:
            tty.write(request.encode() + b"\n")
            lines = []
            reader = os.fdopen(os.dup(tty.fileno()), "r", errors="replace")
            with reader:
                for line in reader:
                    line = line.rstrip("\n")
                    if line == "ok":
                        return lines
                    if line.startswith("error"):
                        raise RuntimeError(f"host: {request}: {line}")
                    lines.append(line[1:])
        raise RuntimeError(f"host: {request}: no answer")

    def tap_stats(self):
        """{tap name: {counter: value}}; rx is what the guest sent."""
        stats = {}
        for line in self.ask("tap-stats"):
            name, *counters = line.split()
            stats[name] = {key: int(value) for key, value in
                           (counter.split("=") for counter in counters)}
        return stats

    def send(self, tap, flows):
        """Send a UDP datagram of each of so many flows into the guest's end of a tap."""
        self.ask(f"send {tap} {flows}")

    def monitor(self, command):
        return "\n".join(self.ask(f"monitor {command}"))

    def doorbells(self):
        """How often the guest has rung any doorbell since it was booted, as QEMU has seen it."""
        return int(self.ask("doorbells")[0])

    def trace(self, event, on=True):
        self.ask(f"trace {'on' if on else 'off'} {event}")

    def trace_count(self, pattern):
        """Trace lines that match an extended regular expression since trace_clear."""
        return int(self.ask(f"trace-count {pattern}")[0])

    def trace_lines(self, pattern):
        """These lines themselves."""
        return self.ask(f"trace-lines {pattern}")

    def trace_race(self, page, begin, end):
        """
        Of traced virtio_pci_notify_write since trace_clear: how many writes to a doorbell arrived
        before their value was written to the doorbell BEGIN, then before END, and after END.
        Doorbells are named by their offset.
        """
        return map(int, self.ask(f"trace-race {page:#x} {begin:#x} {end:#x}")[0].split())

    def trace_clear(self):
        self.ask("trace-clear")

    def qemu_errors(self):
        """What QEMU wrote to its standard error, such as IOMMU faults of a device."""
        return self.ask("qemu-errors")


host = Host()


# /proc

def process_exists(pid):
    """False also for a zombie."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def fds(pid):
    """{descriptor: what it is}, as in /proc/PID/fd."""
    targets = {}
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            targets[int(name)] = os.readlink(f"/proc/{pid}/fd/{name}")
        except FileNotFoundError:
            pass
    return targets


class Mapping:
    def __init__(self, line):
        addresses, self.perms, offset, self.device, inode, *path = line.split(None, 5)
        self.start, self.end = (int(address, 16) for address in addresses.split("-"))
        self.offset = int(offset, 16)
        self.inode = int(inode)
        self.path = path[0].rstrip("\n") if path else ""

    @property
    def size(self):
        return self.end - self.start

    def __repr__(self):
        return f"{self.start:#x}+{self.size:#x} {self.perms} {self.path}"


def maps(pid):
    with open(f"/proc/{pid}/maps") as file:
        return [Mapping(line) for line in file]


# Telemetry

class Telemetry:
    """A client of a process's telemetry socket."""

    def __init__(self, prefix):
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.settimeout(60)
        self._socket.connect(f"/var/run/dpdk/{prefix}/dpdk_telemetry.v2")
        self.info = json.loads(self._socket.recv(1024))

    def ask(self, command):
        """ask("/ethdev/stats,0") returns the value under the command's name."""
        self._socket.send(command.encode())
        return json.loads(self._socket.recv(self.info["max_output_len"]))[command.split(",")[0]]

    def queue_packets(self, port):
        """{"rx": [packets of queue 0, ...], "tx": [...]}, by the device's counters."""
        return queue_packets(self.ask(f"/ethdev/xstats,{port}"))

    def close(self):
        self._socket.close()


def queue_packets(xstats):
    packets = {"rx": {}, "tx": {}}
    for name, value in xstats.items():
        # net_virtio says rx_q0_good_packets, ethdev itself rx_q0_packets.
        if match := re.fullmatch(r"([rt]x)_q(\d+)_(good_)?packets", name):
            packets[match[1]][int(match[2])] = value
    return {way: [counts[queue] for queue in sorted(counts)] for way, counts in packets.items()}


# Programs

def stacks(pid):
    """Where the threads of a process are in the kernel."""
    text = ""
    for task in glob.glob(f"/proc/{pid}/task/*"):
        for name in ("stat", "wchan", "syscall", "stack"):
            with contextlib.suppress(OSError), open(f"{task}/{name}") as file:
                text += f"{task} {name}: {file.read().strip()}\n"
    return text


class Program:
    """A program under our control, on a terminal of its own."""

    PROMPT = None  # of one that takes commands
    INTERRUPTION = ""  # what another thread may print in the middle of anything, as a pattern
    started = []

    def __init__(self, name, argv, env=()):
        self.name, self.argv = name, argv
        os.makedirs(LOGS, exist_ok=True)
        self._output = ""
        self._log = ""
        self._grew = threading.Condition()
        self._ended = False
        self._terminal, theirs = pty.openpty()
        attributes = termios.tcgetattr(theirs)
        attributes[1] &= ~termios.OPOST
        attributes[3] &= ~(termios.ECHO | termios.ICANON | termios.ISIG)
        termios.tcsetattr(theirs, termios.TCSANOW, attributes)
        # On a way of its own, so that no line of the log falls into the middle of a prompt.
        log, its_log = os.pipe()
        self._process = subprocess.Popen(self.argv, stdin=theirs, stdout=theirs, stderr=its_log,
                                         start_new_session=True, env={**os.environ, **dict(env)})
        os.close(theirs)
        os.close(its_log)
        self.pid = self._process.pid
        Program.started.append(self)
        self._readers = [threading.Thread(target=self._read, daemon=True),
                         threading.Thread(target=self._read_log, args=(log,), daemon=True)]
        for reader in self._readers:
            reader.start()

    def _read(self):
        with open(f"{LOGS}/{self.name}.log", "a") as log:
            while True:
                try:
                    data = os.read(self._terminal, 65536)
                except OSError:
                    data = b""
                text = re.sub(r"\x1b\[\??[0-9;]*[A-Za-z]|[\r\x07]", "",
                              data.decode(errors="replace"))
                log.write(text)
                log.flush()
                with self._grew:
                    self._output += text
                    self._ended = not data
                    self._grew.notify_all()
                if not data:
                    return

    def _read_log(self, log):
        with open(f"{LOGS}/{self.name}.log", "a") as copy:
            while data := os.read(log, 65536):
                text = data.decode(errors="replace")
                self._log += text
                copy.write(text)
                copy.flush()
        os.close(log)

    @property
    def output(self):
        """Everything that it has printed so far, then everything that it has logged."""
        return f"{self._output}\n{self._log}"

    def printed(self, start=0):
        """What it has printed, but not logged, from position start on."""
        return self._output[start:]

    def last_lines(self, count):
        return self._output.splitlines()[-count:] + self._log.splitlines()[-count:]

    def expect(self, text, timeout=60, start=0):
        """Wait until text is printed after position start; return what is before it."""
        deadline = time.monotonic() + timeout
        pattern = re.compile(self.INTERRUPTION.join(map(re.escape, text)))
        with self._grew:
            while not (found := pattern.search(self._output, start)):
                check(not self._ended, f"{self.name} ended before it printed '{text}'")
                left = deadline - time.monotonic()
                check(left > 0, f"{self.name}: no '{text}' within {timeout} s")
                self._grew.wait(left)
            return self._output[start:found.start()]

    def cmd(self, text, timeout=60):
        """Send a command, wait for the next prompt, return what was printed in between."""
        start = len(self._output)
        os.write(self._terminal, text.encode() + b"\n")
        answer = self.expect(self.PROMPT, timeout, start)
        return answer.partition("\n")[2]

    def quit(self, timeout=60):
        """End it in an orderly way; return the exit status."""
        os.write(self._terminal, b"quit\n")
        return self.wait(timeout)

    @property
    def alive(self):
        return self._process.poll() is None

    def wait(self, timeout=60):
        """Wait for its end and its last words; return the exit status."""
        try:
            status = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise CheckFailed(f"{self.name} did not end within {timeout} s\n"
                              f"{stacks(self.pid)}") from None
        for reader in self._readers:
            reader.join(5)
        return status

    def kill(self, sig=signal.SIGKILL):
        os.kill(self.pid, sig)
        if sig == signal.SIGKILL:
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                raise CheckFailed(f"{self.name} survives SIGKILL\n{stacks(self.pid)}") from None

    def fds(self):
        return fds(self.pid)

    def maps(self):
        return maps(self.pid)


# testpmd

class Testpmd(Program):
    """A stock dpdk-testpmd."""

    PROMPT = "testpmd> "  # written letter by letter
    INTERRUPTION = r"(?:\n|Port \d+: [\w ]+ event\n){0,99}"

    def __init__(self, name, *, devices=PORTS, plugins=(), secondary=False, proc_id=0, num_procs=1,
                 queues=1, mode="flowgen", cpu=0, lcore=None, mbufs=16384, prefix="lab", eal=(),
                 app=(), wrapper=(), wait=120):
        """
        Start it, as the last argument of a wrapper, and wait for its prompt for wait seconds; with
        wait=0 do not wait.
        """
        self.prefix = prefix
        # No two processes share an lcore id: the caches of a shared mempool are per id.
        main = 2 * proc_id if lcore is None else lcore
        worker = main + 1
        argv = [*wrapper, "dpdk-testpmd", "--lcores", f"{main}@{cpu},{worker}@{cpu}", "-n", "1",
                "--file-prefix", prefix,
                "--proc-type", "secondary" if secondary else "primary"]
        for plugin in plugins:
            argv += ["-d", plugin]
        for device in devices:
            argv += ["-a", device]
        argv += [*eal, "--", "-i", "--nb-cores=1", f"--forward-mode={mode}",
                 f"--rxq={queues}", f"--txq={queues}", f"--total-num-mbufs={mbufs}"]
        if num_procs > 1:
            argv += [f"--num-procs={num_procs}", f"--proc-id={proc_id}"]
        argv += app
        super().__init__(name, argv)
        if wait:
            self.expect(self.PROMPT, wait)

    def do(self, text, timeout=60):
        """Send a command that must not make it complain."""
        logged = len(self._log)
        said = self.cmd(text, timeout) + self._log[logged:]
        check(not re.search(r"bad arguments|error|fail|invalid|not support|cannot|please", said,
                            re.I), f"{self.name}: {text}: {said}")
        return said

    def start(self):
        self.cmd("start")

    def stop(self):
        return self.cmd("stop")

    def receive_only(self, seconds=1):
        """After every process has stopped sending: take in what is still on its way."""
        self.cmd("set fwd rxonly")
        self.start()
        time.sleep(seconds)
        self.stop()

    def port_stats(self, port):
        """The device's counters: {"RX-packets": n, ...}."""
        return _counters(self.cmd(f"show port stats {port}"))

    def xstats(self, port):
        """The device's extended counters: {"rx_q0_packets": n, ...}."""
        return {name: int(value) for name, value in
                re.findall(r"^(\w+): (\d+)$", self.cmd(f"show port xstats {port}"), re.M)}

    def queue_packets(self, port):
        """{"rx": [packets of queue 0, ...], "tx": [...]}, by the device's counters."""
        return queue_packets(self.xstats(port))

    def doorbells(self):
        """How many our driver says that all processes have rung, but for the control queue's."""
        return sum(value for port in (0, 1) for name, value in self.xstats(port).items()
                   if name.endswith("_doorbells"))

    def fwd_stats(self):
        """What this process itself forwarded: {port: {"RX-packets": n, ...}}."""
        parts = re.split(r"Forward statistics for port (\d+)", self.cmd("show fwd stats all"))
        return {int(port): _counters(text) for port, text in zip(parts[1::2], parts[2::2])}


def _counters(text):
    return {name: int(value) for name, value in re.findall(r"([RT]X-[\w-]+): +(\d+)", text)}


@atexit.register
def _kill_started():
    for process in Program.started:
        if process.alive:
            process.kill()
