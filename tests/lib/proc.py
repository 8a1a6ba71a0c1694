"""A child process: its output in files, ended by its pid, never left behind."""
import os
import re
import signal
import subprocess

SANITIZER = re.compile(rb"(ERROR: \w+Sanitizer|runtime error:|WARNING: ThreadSanitizer|Assertion .* failed)")


class Process:
    """env: added to ours. The command's standard output and error go to work/NAME.out and work/NAME.err."""

    def __init__(self, name, argv, work, env=None, cwd=None):
        self.name, self.argv = name, [str(a) for a in argv]
        self.out, self.err = work / f"{name}.out", work / f"{name}.err"
        with open(self.out, "ab") as out, open(self.err, "ab") as err:
            self.popen = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                                          env={**os.environ, **(env or {})}, cwd=cwd)
        self.pid = self.popen.pid

    def alive(self):
        return self.popen.poll() is None

    def send(self, sig):
        os.kill(self.pid, sig)

    def kill(self):
        """SIGKILL, now."""
        if self.alive():
            self.popen.kill()
        self.popen.wait()

    def end(self, seconds=10.0, sig=signal.SIGTERM):
        """Asks it to end (sig None: it was asked) and returns the exit status; kills it when it does not, and says so."""
        if sig and self.alive():
            self.send(sig)
        try:
            return self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
            raise AssertionError(f"{self.name} did not end within {seconds} s of signal {sig}") from None

    def said(self):
        return self.out.read_bytes() + self.err.read_bytes()

    def findings(self):
        """What a sanitizer or an assert had to say; empty when all is well."""
        said = self.err.read_bytes()
        return said[-8000:].decode(errors="replace") if SANITIZER.search(said) else ""

    def rss(self):
        """Resident memory, bytes."""
        with open(f"/proc/{self.pid}/statm", encoding="ascii") as f:
            return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def cpu(self):
        """User and system time so far, seconds."""
        with open(f"/proc/{self.pid}/stat", encoding="ascii") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def fds(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))
