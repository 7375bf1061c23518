"""The process that starts a Ray of our own: ``python -m sweeps.engines.ray.head SETTINGS FOLDER``.

It writes where Ray is, or why it does not start, and stays until its standard input closes.
"""

import json
import logging
import os
import sys
import threading
from typing import NoReturn

import ray

from sweeps.engines.ray.protocol import TOLD

_OBJECT_STORE_BYTES = 80 * 2**20


def main() -> None:
    settings, folder = json.loads(sys.argv[1]), sys.argv[2]
    # In a thread of its own, since its host may be gone before Ray has started.
    host = threading.Thread(target=_end_with_host, daemon=True)
    host.start()
    try:
        ray.init(
            address="local",
            num_cpus=settings["cpus"],
            num_gpus=settings["gpus"],
            object_store_memory=_OBJECT_STORE_BYTES,
            include_dashboard=False,
            _node_ip_address=settings["ip_address"],
            _temp_dir=folder,
            logging_level=logging.ERROR,
            log_to_driver=False,
        )
    except Exception as error:
        _tell(error=str(error) or type(error).__name__)
    else:
        _tell(address=ray.get_runtime_context().gcs_address)
    host.join()


def _tell(**words: str) -> None:
    print(f"{TOLD}{json.dumps(words)}", flush=True)


def _end_with_host() -> NoReturn:
    sys.stdin.read()
    # What Ray does at the end of Python would wait for processes that may be gone.
    os._exit(0)


if __name__ == "__main__":
    main()
