"""A cluster of two nodes on this machine that serves one model file, for as long as a `with` block lasts."""

import contextlib
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time

READY_SECONDS_MAX = 120
END_SECONDS_MAX = 20


def free_ports(count):
    held = [socket.socket() for _ in range(count)]
    for one in held:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


def is_ready(troupe, at):
    done = subprocess.run([str(troupe), "status", "--at", at, "--json"], capture_output=True, text=True, timeout=60, check=False)
    if done.returncode != 0:
        return False
    nodes = [node for node in json.loads(done.stdout)["nodes"] if node["up"]]
    return len(nodes) == 2 and all(any(model["state"] == "ready" for model in node["models"]) for node in nodes)


@contextlib.contextmanager
def running(programs, file):
    """HOST:PORT of a node. The daemons are ended with the block; what they wrote is deleted."""
    with tempfile.TemporaryDirectory(prefix="troupe-evaluate.") as folder:
        models = pathlib.Path(folder, "models")
        models.mkdir()
        (models / file.name).symlink_to(file.resolve())
        addresses = [f"127.0.0.1:{port}" for port in free_ports(2)]
        daemons = []
        try:
            for name, address, peer in (("first", *addresses), ("second", *reversed(addresses))):
                config = pathlib.Path(folder, f"{name}.yaml")
                config.write_text(f"node:\n  name: {name}\n")
                settings = {"TROUPE_LINK_LISTEN": address, "TROUPE_MEMBERSHIP_PEERS": peer,
                            "TROUPE_NODE_STATE_DIR": f"{folder}/{name}", "TROUPE_MODELS_DIRECTORIES": str(models),
                            "TROUPE_MODELS_PRELOAD": file.stem, "TROUPE_INFERENCE_KV_BYTES": "64MiB"}
                with open(f"{folder}/{name}.log", "w", encoding="utf-8") as log:
                    daemons.append(subprocess.Popen([programs / "trouped", "--config", config],
                                                    env=os.environ | settings, stdout=log, stderr=log, start_new_session=True))
            until = time.monotonic() + READY_SECONDS_MAX
            while not all(is_ready(programs / "troupe", address) for address in addresses):
                ended = [daemon for daemon in daemons if daemon.poll() is not None]
                if ended or time.monotonic() > until:
                    for log in sorted(pathlib.Path(folder).glob("*.log")):
                        print(f"--- {log.name}\n{log.read_text()[-2000:]}", file=sys.stderr)
                    sys.exit("a node has ended" if ended else f"the cluster is not ready after {READY_SECONDS_MAX} s")
                time.sleep(0.2)
            yield addresses[0]
        finally:
            for daemon in daemons:
                daemon.terminate()
            for daemon in daemons:
                try:
                    daemon.wait(END_SECONDS_MAX)
                except subprocess.TimeoutExpired:
                    daemon.kill()
                    daemon.wait()
