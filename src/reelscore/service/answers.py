"""Answers to matches, kept in memory; what is asked several times at once is computed once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from reelscore.matching.request import MatchRequest

Answer = dict[str, Any]
Question = tuple[MatchRequest, object]
"""A request, and the version of what it is asked of."""

_MOST = 1000


class Answers:
    """The answers to the last questions."""

    def __init__(self) -> None:
        self._known: dict[Question, Answer] = {}
        self._asked: dict[Question, Future[Answer]] = {}
        self._lock = threading.Lock()

    def get(self, question: Question, answer: Callable[[], Answer], *, is_kept: Callable[[], bool]) -> Answer:
        """Return the answer to a question, computed where no request has asked it before.

        Parameters
        ----------
        question : Question
        answer : callable
        is_kept : callable
            Called after `answer`; returns whether it may be kept.
        """
        with self._lock:
            if (known := self._known.get(question)) is not None:
                return known
            other = self._asked.get(question)
            if other is None:
                mine = self._asked[question] = Future()
        if other is not None:
            return other.result()
        try:
            found = answer()
        except BaseException as error:
            mine.set_exception(error)
            with self._lock:
                del self._asked[question]
            raise
        mine.set_result(found)
        with self._lock:
            del self._asked[question]
            if is_kept():
                self._known[question] = found
            while len(self._known) > _MOST:
                del self._known[next(iter(self._known))]
        return found

    def forget(self, video: str) -> None:
        """Drop the answers about a video, given by its path."""
        with self._lock:
            for question in [question for question in self._known if question[0].video == video]:
                del self._known[question]
