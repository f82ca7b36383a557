"""The components of the stack as processes of this machine, for the script run."""

import concurrent.futures
import glob
import os
import pwd
import re
import shlex
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
# The one that Debian's python3-… packages are for; or another that has the same.
PYTHON = os.environ.get("PYTHON", "/usr/bin/python3")


class Missing(Exception):
    """Something that the script needs is not there."""


class Failed(Exception):
    """An expectation did not hold."""


def say(text=""):
    print(text, flush=True)


def program(name, package):
    """The path of a program, also of one for administrators."""
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if not found:
        raise Missing(f"{name} is missing: apt-get install {package}")
    return found


def module(name, package):
    if subprocess.run([PYTHON, "-c", f"import {name}"], capture_output=True).returncode != 0:
        raise Missing(f"{PYTHON} has no module {name}: apt-get install {package}")


class Service:
    """A process in a group of its own, with a log of its own."""

    def __init__(self, stack, name, command, stop=signal.SIGTERM, user=None):
        self.stack, self.name, self.command, self.how, self.user = stack, name, command, stop, user
        self.process = None
        self.log = stack.dir / f"{name}.log"

    def start(self):
        # Should this script be killed, the kernel tells the process to end.
        command = [self.stack.setpriv, "--pdeathsig", "TERM"]
        if self.user:
            command += [f"--reuid={self.user}", f"--regid={self.user}", "--init-groups"]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                command + self.command, cwd=self.stack.dir, env=self.stack.env, start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )
        say(f"started {self.name}, process {self.process.pid}")

    def stop(self):
        if not self.process:
            return
        self.signal(self.how)
        self.signal(signal.SIGCONT)
        try:
            self.process.wait(self.stack.patience)
        except subprocess.TimeoutExpired:
            say(f"{self.name} does not stop and is killed")
        self.signal(signal.SIGKILL)  # what it has left behind, if anything
        self.process.wait()
        self.process = None

    def freeze(self):
        self.signal(signal.SIGSTOP)

    def thaw(self):
        self.signal(signal.SIGCONT)

    def signal(self, what):
        """To the group when it is to end at once or to stand still, else to the
        process, which tells its children in its own way."""
        whole = what in (signal.SIGKILL, signal.SIGSTOP, signal.SIGCONT)
        try:
            (os.killpg if whole else os.kill)(self.process.pid, what)
        except ProcessLookupError:
            pass

    def died(self):
        return self.process is not None and self.process.poll() is not None


class Stack:
    """The components and their checks, which are commands in which {dir} and
    {COMPONENT} stand for the directory and a component's port."""

    def __init__(self, hale, patience, directory, checks):
        self.dir, self.patience = directory, patience
        self.setpriv = program("setpriv", "util-linux")
        self.port = free_ports("app", "flower", "redis", "postgres", "nginx", "smart")
        bin = directory / "bin"
        bin.mkdir()
        (bin / "hale").symlink_to(hale)
        (bin / "maykin-common").symlink_to(hale)
        self.env = {
            "PATH": f"{bin}:/usr/bin:/bin",
            "HOME": str(directory),
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(HERE),
            "PYTHONDONTWRITEBYTECODE": "1",
            "REDIS_URL": f"redis://127.0.0.1:{self.port['redis']}",
            "DB_HOST": "127.0.0.1",
            "DB_PORT": str(self.port["postgres"]),
            "WORKER_LIVENESS_FILE": f"{directory}/worker.live",
            "WORKER_READINESS_FILE": f"{directory}/worker.ready",
            "WORKER_LIVENESS_EVERY": "0.5",
            "BEAT_LIVENESS_FILE": f"{directory}/beat.live",
            "BEAT_EVERY": "0.5",
        }
        self.checks = {name: c.format(dir=directory, **self.port) for name, c in checks.items()}
        self.services = {}
        for service in self.data_services() + self.app_services() + self.nginxes():
            self.services[service.name] = service

    def data_services(self):
        redis = [program("redis-server", "redis-server"), "--port", str(self.port["redis"]), "--bind", "127.0.0.1",
                 "--save", "", "--appendonly", "no", "--dir", str(self.dir)]
        found = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda path: int(path.split("/")[4]))
        if not found:
            raise Missing("PostgreSQL is missing: apt-get install postgresql")
        data = self.dir / "postgres"
        data.mkdir()
        user = None
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            user = "postgres"
            account = pwd.getpwnam(user)
            os.chown(data, account.pw_uid, account.pw_gid)
        self.initdb = [f"{found[-1]}/initdb", "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"]
        postgres = [f"{found[-1]}/postgres", "-D", str(data), "-p", str(self.port["postgres"]),
                    "-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={data}", "-F"]
        return [
            Service(self, "redis", redis),
            Service(self, "postgres", postgres, stop=signal.SIGINT, user=user),
        ]

    def app_services(self):
        for name, package in {
            "django": "python3-django", "django_redis": "python3-django-redis", "psycopg2": "python3-psycopg2",
            "celery": "python3-celery", "redis": "python3-redis", "gunicorn": "gunicorn",
        }.items():
            module(name, package)
        gunicorn = [PYTHON, "-m", "gunicorn", "app:application", "--bind", f"127.0.0.1:{self.port['app']}",
                    "--threads", "4", "--graceful-timeout", "2", "--worker-tmp-dir", str(self.dir)]
        celery = [PYTHON, "-m", "celery", "-A", "app"]
        worker = celery + ["worker", "--hostname", "celery@open-klant", "--concurrency", "1", "--without-mingle"]
        beat = celery + ["beat", "--schedule", f"{self.dir}/beat-schedule", "--pidfile", ""]
        flower = celery + ["flower", "--address=127.0.0.1", f"--port={self.port['flower']}"]
        try:
            module("flower", "")
        except Missing:
            say("Debian has no package of Flower, and there is none here. In its place stands a plain")
            say("web server: the check is the same, what it finds is not Flower.\n")
            pages = self.dir / "flower"
            pages.mkdir()
            flower = [PYTHON, "-m", "http.server", "--bind", "127.0.0.1", "--directory", str(pages), str(self.port["flower"])]
        return [
            Service(self, "app", gunicorn),
            Service(self, "worker", worker),
            Service(self, "beat", beat),
            Service(self, "flower", flower),
        ]

    def nginxes(self):
        nginx = program("nginx", "nginx-light")
        text = (HERE / "nginx.conf").read_text()
        # The smart variant stands in comments that have no space after the #.
        smart = re.sub(r"location = /_healthz/readyz/ \{.*?\n        \}", "", text, count=1, flags=re.DOTALL)
        smart = re.sub(r"(?m)^( *)#(?=\S| {4})", r"\1", smart)
        services = []
        for name, conf in {"nginx": text, "smart": smart}.items():
            own = self.dir / name
            own.mkdir()
            conf = conf.replace("listen 8080", f"listen 127.0.0.1:{self.port[name]}")
            conf = conf.replace("app:8000", f"127.0.0.1:{self.port['app']}").replace("/tmp/", f"{own}/")
            (own / "nginx.conf").write_text(conf)
            services.append(Service(self, name, [nginx, "-e", "stderr", "-c", f"{own}/nginx.conf", "-g", "daemon off;"]))
        return services

    def start(self):
        postgres = self.services["postgres"]
        prefix = [self.setpriv, f"--reuid={postgres.user}", f"--regid={postgres.user}", "--clear-groups"] if postgres.user else []
        self.must(prefix + self.initdb)
        self.services["redis"].start()
        postgres.start()
        wait = f"hale wait redis://127.0.0.1:{self.port['redis']} postgres://127.0.0.1:{self.port['postgres']} --timeout {self.patience}s"
        say(f"$ {wait}")
        self.must(shlex.split(wait))
        self.migrate()
        for service in self.services.values():
            if not service.process:
                service.start()

    def migrate(self, *where):
        self.must([PYTHON, str(HERE / "app.py"), "migrate", "--verbosity", "0", *where])

    def must(self, command):
        done = subprocess.run(command, cwd=self.dir, env=self.env, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode != 0:
            raise Failed(f"{shlex.join(command)}: exit {done.returncode}\n{done.stdout}{done.stderr}")

    def stop(self):
        for service in reversed(self.services.values()):
            service.stop()

    def do(self, what, component):
        service = self.services[component]
        if what == "unmigrate":
            self.migrate("sessions", "zero")
        elif what == "migrate":
            self.migrate()
        else:
            getattr(service, what)()

    def run_checks(self, names):
        """Runs those checks at the same time: name → (exit code, output)."""

        def run(name):
            done = subprocess.run(
                shlex.split(self.checks[name]), env=self.env, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            )
            return done.returncode, done.stdout

        with concurrent.futures.ThreadPoolExecutor(len(self.checks)) as pool:
            return dict(zip(names, pool.map(run, names)))

    def expect(self, red):
        """Runs the checks until those named, and no others, are red with these
        exit codes, and the others are green once more. Returns what they say."""
        green = [name for name in self.checks if name not in red]
        deadline = time.monotonic() + self.patience
        while True:
            results = self.run_checks(list(self.checks))
            got = reds(results)
            if got == red:
                got |= reds(self.run_checks(green))
            for service in self.services.values():
                if service.died():
                    raise Failed(f"{service.name} ended by itself with {service.process.returncode}")
            if got == red:
                return results
            if time.monotonic() > deadline:
                raise Failed(f"after {self.patience}s\n  red are     {got}\n  expected is {red}\n{self.shown(results, got)}")
            time.sleep(0.2)

    def shown(self, results, names):
        """The commands of those checks with their output and exit codes."""
        lines = []
        for name in names:
            code, output = results[name]
            lines += [f"$ {self.checks[name]}", *output.splitlines(), f"exit {code}"]
        return "\n".join(lines) + "\n"


def reds(results):
    return {name: code for name, (code, _) in results.items() if code != 0}


def free_ports(*names):
    """A port for each name. They lie below those that the kernel gives to
    outgoing connections, so nobody takes them by accident."""
    ports, sockets = {}, []
    for port in sorted(range(10000, 18000), key=lambda _: os.urandom(4)):
        s = socket.socket()
        sockets.append(s)
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            continue
        ports[names[len(ports)]] = port
        if len(ports) == len(names):
            break
    for s in sockets:
        s.close()
    return ports
