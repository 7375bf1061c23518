"""A worker that does nothing but what a test tells it; see ``fake_workers.py``.

It keeps the promises of a real one: it stops on SIGTERM and when its input closes. It imports
nothing that takes time.
"""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path


def main(folder: Path, name: str, device: str) -> None:
    stop = threading.Event()

    def stop_with_input() -> None:
        sys.stdin.read()
        stop.set()

    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    threading.Thread(target=stop_with_input, daemon=True).start()
    print(f"hello from {name}", flush=True)
    note = folder / f"{name}.pid.{os.getpid()}"
    beside = note.with_name(f"{os.getpid()}.new")
    environment = [os.environ.get(key, "") for key in ("SWEEPS_STORAGE", "CUDA_VISIBLE_DEVICES")]
    beside.write_text("\n".join([device, *environment, ""]))
    beside.rename(note)
    order = folder / f"{name}.order"
    deaf = False
    while not stop.wait(0.05) or deaf:
        if not order.exists():
            continue
        text = order.read_text()
        order.unlink()
        if text == "deaf":
            deaf = True
            child = subprocess.Popen(["sleep", "1000"], stdin=subprocess.DEVNULL)
            (folder / f"{name}.child").write_text(str(child.pid))
        else:
            print("these are my last words", flush=True)
            sys.exit(int(text))
    print("checkpointed", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
