"""Answers that are kept, and computed once for requests at the same time."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from reelscore.errors import NotFoundError
from reelscore.matching.request import MatchRequest
from reelscore.service.answers import Answers

QUESTION = (MatchRequest(video="/a.mp4"), 1)


def test_equal_questions_at_once_are_answered_by_one_computation() -> None:
    answers, begun, end, calls = Answers(), threading.Event(), threading.Event(), []

    def compute() -> dict[str, object]:
        calls.append(1)
        begun.set()
        assert end.wait(60)
        return {"n": len(calls)}

    with ThreadPoolExecutor(4) as threads:
        found = [threads.submit(answers.get, QUESTION, compute, is_kept=lambda: True) for _ in range(4)]
        assert begun.wait(60)
        end.set()
        assert [one.result(60) for one in found] == [{"n": 1}] * 4
    assert answers.get(QUESTION, compute, is_kept=lambda: True) == {"n": 1}
    answers.forget("/b.mp4")
    assert answers.get(QUESTION, compute, is_kept=lambda: True) == {"n": 1}
    answers.forget("/a.mp4")
    assert answers.get(QUESTION, compute, is_kept=lambda: False) == {"n": 2}
    assert answers.get(QUESTION, compute, is_kept=lambda: True) == {"n": 3}


def test_an_error_is_raised_for_all_and_not_kept() -> None:
    answers, begun, end = Answers(), threading.Event(), threading.Event()

    def fail() -> dict[str, object]:
        begun.set()
        assert end.wait(60)
        raise NotFoundError("gone")

    with ThreadPoolExecutor(3) as threads:
        found = [threads.submit(answers.get, QUESTION, fail, is_kept=lambda: True) for _ in range(3)]
        assert begun.wait(60)
        end.set()
        for one in found:
            with pytest.raises(NotFoundError, match="gone"):
                one.result(60)
    assert answers.get(QUESTION, lambda: {"n": 1}, is_kept=lambda: True) == {"n": 1}
