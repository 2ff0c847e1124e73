"""Spark from the pip package in processes of their own: a master with workers, or a Connect server."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pyspark

SPARK_HOME = Path(pyspark.__file__).parent
HOST = "127.0.0.1"
PATIENCE_SECONDS = 180


@contextmanager
def standalone_cluster(folder: Path, workers: int = 2, memory: str = "4g") -> Iterator[str]:
    """
    Starts a master and one-core workers below a folder, waits until all have registered, stops them at the
    end.

    Yields:
        The master's address, for ``CLV_SPARK_MASTER``.
    """
    port, ui_port = _free_port(), _free_port()
    address = f"spark://{HOST}:{port}"
    master = ("master.Master", "--host", HOST, "--port", str(port), "--webui-port", str(ui_port))
    worker = (
        "worker.Worker",
        "--host",
        HOST,
        "--webui-port",
        "0",
        "--cores",
        "1",
        "--memory",
        memory,
        address,
    )
    with ExitStack() as processes:
        processes.enter_context(_daemon(folder / "master", "256m", *master))
        for number in range(workers):
            processes.enter_context(_daemon(folder / f"worker-{number}", "256m", *worker))
        _wait_for(f"http://{HOST}:{ui_port}/json/", workers)
        yield address


@contextmanager
def connect_server(folder: Path) -> Iterator[str]:
    """
    Starts a Spark Connect server in local mode with tables and a metastore below a folder, stops it at the
    end.

    Yields:
        The server's address, for ``SPARK_REMOTE``.
    """
    port = _free_port()
    settings = {
        "spark.master": "local[2]",
        "spark.ui.enabled": "false",
        "spark.sql.shuffle.partitions": "8",
        "spark.connect.grpc.binding.port": str(port),
        "spark.sql.catalogImplementation": "hive",
        "spark.sql.warehouse.dir": str(folder / "tables"),
        "spark.hadoop.javax.jdo.option.ConnectionURL": (
            f"jdbc:derby:;databaseName={folder / 'metastore'};create=true"
        ),
        "spark.driver.extraJavaOptions": "-Xss16m",
    }
    options = [part for name, value in settings.items() for part in ("--conf", f"{name}={value}")]
    server = "org.apache.spark.sql.connect.service.SparkConnectServer"
    with _daemon(folder, "3g", "SparkSubmit", *options, "--class", server, "spark-internal"):
        _wait_for_port(port)
        yield f"sc://{HOST}:{port}"


@contextmanager
def _daemon(folder: Path, memory: str, kind: str, *arguments: str) -> Iterator[None]:
    folder.mkdir(parents=True)
    command = [str(SPARK_HOME / "bin" / "spark-class"), f"org.apache.spark.deploy.{kind}", *arguments]
    environment = os.environ | {
        "SPARK_HOME": str(SPARK_HOME),
        "SPARK_LOCAL_IP": HOST,
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_WORKER_DIR": str(folder / "work"),
        "SPARK_DAEMON_MEMORY": memory,
    }
    with (folder / "log.txt").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
        try:
            yield
        finally:
            process.terminate()
            process.wait(timeout=60)


def _wait_for(url: str, workers: int) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                if json.load(answer)["aliveworkers"] == workers:
                    return
        except OSError:
            pass
        time.sleep(1)
    raise TimeoutError(f"{workers} workers did not register at {url} within {PATIENCE_SECONDS} s.")


def _wait_for_port(port: int) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex((HOST, port)) == 0:
                return
        time.sleep(1)
    raise TimeoutError(f"Nothing answered at port {port} within {PATIENCE_SECONDS} s.")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]
