"""A Redis of the tests' own, which may be killed and started again; it keeps what it acknowledged."""

import shutil
import socket
import subprocess
import threading

REDIS = shutil.which("redis-server")


class RedisProcess:
    def __init__(self, directory, *settings):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = listener.getsockname()[1]
        self.directory, self.settings = directory, settings
        self.start()

    def url(self, prefix=""):
        return f"redis://127.0.0.1:{self.port}/0" + (f"?prefix={prefix}" if prefix else "")

    def start(self):
        command = [REDIS, "--port", str(self.port), "--dir", str(self.directory), "--bind", "127.0.0.1", "--save", ""]
        command += ["--appendonly", "yes", "--appendfsync", "always", *self.settings]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert any("Ready to accept connections" in line for line in iter(self.process.stdout.readline, ""))
        threading.Thread(target=self.process.stdout.read, daemon=True).start()

    def kill(self):
        self.process.kill()
        self.process.wait()
