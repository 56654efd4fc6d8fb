"""The OpenAPI document, and requests made from it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from support.serving import Running

REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "http.md"


def test_every_route_is_in_the_reference(served: Running) -> None:
    text = REFERENCE.read_text()
    for path, methods in served.http.get("/openapi.json").json()["paths"].items():
        name = re.sub(r"\{id\}", "ID", re.sub(r"\{key\}", "KEY", path))
        for method in methods:
            if method not in ("head", "options"):
                assert re.search(rf"`?{method.upper()} {re.escape(name)}\b|`{re.escape(name)}`", text), (
                    method,
                    name,
                )


def test_every_operation_has_a_summary(served: Running) -> None:
    paths = served.http.get("/openapi.json").json()["paths"]
    for path, methods in paths.items():
        for method, operation in methods.items():
            assert operation["description"].endswith("."), (method, path)


@pytest.mark.slow
def test_no_request_makes_a_server_error(served: Running) -> None:
    """Send requests that schemathesis makes from the document, valid ones and others."""
    schemathesis = pytest.importorskip("schemathesis")
    from hypothesis import HealthCheck, Phase, given, settings

    schema = schemathesis.openapi.from_url(f"{served.url}/openapi.json")
    checked = 0
    for result in schema.get_all_operations():
        operation = result.ok()
        if operation.path == "/v1/events":
            continue  # a stream without an end

        @given(case=operation.as_strategy())
        @settings(
            max_examples=15,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def run(case: object) -> None:
            answer = case.call()  # type: ignore[attr-defined]
            assert answer.status_code < 500, (case, answer.text)
            if answer.status_code >= 400 and case.method != "HEAD":  # type: ignore[attr-defined]
                assert answer.headers["content-type"][0] == "application/problem+json"
            if answer.status_code == 405:
                assert answer.headers["allow"]

        run()
        checked += 1
    assert checked > 25
