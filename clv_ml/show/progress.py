"""Progress on a terminal: each step as it begins, in words of a shop's life, and how long it takes."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from clv_ml.show.terminal import err

WORDS = {
    "simulate a shop": "Making up a shop",
    "ingest": "Reading the files",
    "build features": "Working out what was known of each customer on each date",
    "train": "Learning from earlier customers what they went on to spend",
    "tune": "Trying other ways to learn",
    "backtest": "Predicting from past dates, and comparing with what came",
    "score": "Estimating what each customer will spend, and why",
    "score today": "Estimating what each customer will spend from today",
    "check": "Checking the results",
    "publish": "Giving readers the new results",
    "copy to Postgres": "Copying the results to Postgres",
    "remove old": "Removing what is no longer kept",
    "report": "Writing the page",
    "erase": "Erasing the person everywhere, and looking for what is left",
    "compare": "Comparing",
    "copy the raw tables": "Copying what was fed to Spark",
    "build on Spark": "Working it all out again on Spark",
    "score on Spark": "Estimating what each customer will spend on Spark",
}
"""What people read of each step; one that is not here tells itself."""


@contextmanager
def steps(as_json: bool = False) -> Iterator[Callable[[str], None]]:
    """Hears the name of each step as it begins. Where no person watches, nothing is shown."""
    if as_json or not sys.stderr.isatty():
        yield lambda step: None
        return
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(finished_text=" "), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=err) as progress:

        def begin(step: str) -> None:
            end()
            progress.add_task(WORDS.get(step, step.capitalize()), total=None)

        def end() -> None:
            for task in progress.task_ids[-1:]:
                progress.update(task, total=1, completed=1)

        yield begin
        end()
