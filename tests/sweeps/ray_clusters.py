"""A Ray cluster as others would start it, which runs that are given its address join."""

import shutil
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.sweeps.waiting import wait_for


@contextmanager
def ray_cluster(folder: Path) -> Iterator[str]:
    """Its address, while it runs: one host with 4 CPUs and 2 GPUs, on the loopback interface.

    It takes work from whoever reaches it.

    Args:
        folder: for what it writes on its output.
    """
    from ray._private import ray_constants

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # Short: the paths of its sockets may have 107 characters.
    temporary = f"/tmp/ray-{uuid.uuid4().hex[:8]}"
    command = [Path(sys.executable).with_name("ray"), "start", "--head", "--block"]
    command += [f"--port={port}", "--node-ip-address=127.0.0.1", "--num-cpus=4", "--num-gpus=2"]
    command += ["--include-dashboard=false", "--disable-usage-stats", f"--temp-dir={temporary}"]
    command += [f"--object-store-memory={80 * 2**20}"]
    log = folder / "log"
    with pytest.MonkeyPatch.context() as patch, log.open("w") as output:
        patch.setenv("RAY_AUTH_MODE", "disabled")
        # As the engine does for a Ray of its own; else Ray looks for the cluster elsewhere.
        patch.setattr(ray_constants, "ENABLE_RAY_CLUSTER", False)
        patch.setenv(ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR, "0")
        cluster = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        try:
            wait_for(lambda: "Ray runtime started" in log.read_text(), "Ray to start", seconds=90)
            yield f"127.0.0.1:{port}"
        finally:
            cluster.terminate()
            cluster.wait(timeout=60)
            shutil.rmtree(temporary)
