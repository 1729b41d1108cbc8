"""Put a load on a server on this machine, and print its figures as one line of JSON.

The server's key is in the environment variable SECRET_KEY.
"""

import argparse
import gc
import json
import os
import resource
import time

import uvloop

from benchmarks.load.crowd import Crowd
from benchmarks.load.options import Load, add_options
from benchmarks.load.process import ServerProcess
from benchmarks.load.scenarios import SCENARIOS, prepare


async def measure(load: Load, port: int, pid: int) -> dict[str, float]:
    """Connect the clients and run the scenario; the figures include the cost of connecting."""
    crowd, server = Crowd(port, os.environ["SECRET_KEY"], load.transport), ServerProcess(pid)
    await prepare(crowd, load)
    cpu, began = server.cpu_seconds(), time.perf_counter()
    await crowd.connect(load.clients)
    seconds = time.perf_counter() - began
    await crowd.quiet()
    cpu = server.cpu_seconds() - cpu
    figures = {
        "connect_cpu_us": cpu / load.clients * 1e6,
        "connects_per_s": load.clients / seconds,
    }
    figures |= await SCENARIOS[load.scenario](crowd, load, server)
    crowd.check()
    crowd.close()
    return figures


def main() -> None:
    """Run a load with command line options."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser, list(SCENARIOS))
    parser.add_argument("--port", type=int, required=True, help="where the server listens")
    parser.add_argument("--pid", type=int, required=True, help="its process")
    given = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    gc.disable()  # a pause of the clients would look like one of the server
    print(json.dumps(uvloop.run(measure(Load.of(given), given.port, given.pid))))


if __name__ == "__main__":
    main()
