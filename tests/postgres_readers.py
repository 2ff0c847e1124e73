"""Processes that read Postgres while new versions come, and what they saw; publishers that are killed."""

import multiprocessing
import os
import random
import signal
import time
from typing import Any

import psycopg
from readers import MARTS, ROWS, Seen, fill

from clv_ml.operate.postgres_publication import publish_to_postgres
from clv_ml.operate.publication import publish
from clv_ml.settings import Settings

PAUSE_SECONDS = 0.02


def publish_generation(settings: Settings, address: str, generation: int) -> None:
    """Publishes one generation, to the folder and to the database."""
    fill(settings, generation)
    publish_to_postgres(settings, publish(settings), address)


def read_while_publishing(settings: Settings, address: str, publishes: int, readers: int) -> Seen:
    """Publishes so many generations, one after the other, while others read."""
    publish_generation(settings, address, 1)
    context = multiprocessing.get_context("spawn")
    over, found = context.Event(), context.Queue()
    processes = [
        context.Process(target=_read, args=(address, number, over, found)) for number in range(readers)
    ]
    for process in processes:
        process.start()
    for generation in range(2, publishes + 2):
        publish_generation(settings, address, generation)
    over.set()
    seen = [found.get(timeout=120) for _ in processes]
    for process in processes:
        process.join()
    return Seen(
        reads=sum(one.reads for one in seen),
        mixed=sum(one.mixed for one in seen),
        errors=tuple(error for one in seen for error in one.errors),
        generations=max(one.generations for one in seen),
    )


def _read(address: str, number: int, over: Any, found: Any) -> None:
    """Half of them ask with one statement, half with a statement a table in one transaction."""
    reads, mixed, errors, generations = 0, 0, [], set()
    with psycopg.connect(address, application_name=f"reader {number}") as connection:
        while not over.wait(PAUSE_SECONDS):
            try:
                with connection.transaction():
                    seen = _joined(connection) if number % 2 else _one_by_one(connection, number)
            except Exception as error:
                errors.append(f"{type(error).__name__}: {error}")
                continue
            reads += 1
            mixed += len(seen) != 1
            generations |= seen
    found.put(Seen(reads, mixed, tuple(errors), len(generations)))


def _joined(connection: psycopg.Connection) -> set[Any]:
    tables = " union all ".join(f"select generation from clv.{name}" for name in MARTS)
    rows = connection.execute(f"select generation, count(*) from ({tables}) as t group by 1".encode())
    return {generation if count == ROWS * len(MARTS) else (generation, count) for generation, count in rows}


def _one_by_one(connection: psycopg.Connection, number: int) -> set[Any]:
    """In another order for every other reader, as two that wait for each other need it."""
    seen = set()
    for name in MARTS if number % 4 else reversed(MARTS):
        rows = connection.execute(f"select generation, count(*) from clv.{name} group by 1".encode())
        seen |= {generation if count == ROWS else (generation, count) for generation, count in rows}
    return seen


def killed(settings: Settings, address: str, kills: int, seed: int = 5) -> tuple[int, list[str]]:
    """
    Publishes generation after generation and kills the publisher at random moments; then one more must work.

    Returns:
        The kills that came while it copied to Postgres, and what was wrong after any.
    """
    publish_generation(settings, address, 1)
    rng, faults, met = random.Random(seed), [], 0
    for number in range(kills):
        fill(settings, number + 2)
        published = publish(settings)
        before = _generations(address)
        child = os.fork()
        if child == 0:
            try:
                publish_to_postgres(settings, published, address)
            finally:
                os._exit(0)
        time.sleep(rng.uniform(0, 0.5))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        met += os.WIFSIGNALED(status)
        seen = _generations(address)
        if seen not in (before, {number + 2}):
            faults.append(f"kill {number}: {before} became {seen}")
        if left := _left_over(address):
            faults.append(f"kill {number} left {left}")
    publish_generation(settings, address, kills + 2)
    if _generations(address) != {kills + 2}:
        faults.append("the next publication did not arrive")
    return met, faults


def _generations(address: str) -> set[Any]:
    with psycopg.connect(address) as connection:
        return _one_by_one(connection, 1)


def _left_over(address: str) -> list[str]:
    with psycopg.connect(address) as connection:
        rows = connection.execute(
            "select relname from pg_class where relnamespace = 'clv'::regnamespace and relkind = 'r' "
            "and relname <> all(%s)",
            [[*MARTS, "publication", "own_relations"]],
        )
        return [name for (name,) in rows]
