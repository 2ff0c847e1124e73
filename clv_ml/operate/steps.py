"""The steps of a command: who hears of them, and how long each took."""

import time
from collections.abc import Callable

Step = Callable[[str], None]
"""Hears the name of each step as it begins."""


def no_steps(step: str) -> None:
    """Nobody hears of them."""


class Clock:
    """Passes each step's name on and takes the time of the step before; the last step is ``""``."""

    def __init__(self, on_step: Step) -> None:
        self._on_step, self._step, self._began = on_step, "", 0.0
        self.seconds: dict[str, float] = {}

    def __call__(self, step: str) -> None:
        now = time.monotonic()
        if self._step:
            self.seconds[self._step] = round(now - self._began, 3)
        self._step, self._began = step, now
        if step:
            self._on_step(step)
