"""Training configuration: round trip, and values out of range."""

from __future__ import annotations

import dataclasses

import pytest

from reelscore.config import from_mapping, to_mapping
from reelscore.errors import ConfigError
from reelscore.training import TrainConfig
from support.training_sets import CONFIG


def test_a_configuration_is_rebuilt_from_its_mapping() -> None:
    assert from_mapping(TrainConfig, to_mapping(CONFIG)) == CONFIG
    assert from_mapping(TrainConfig, {}).method == "auto"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"lr": 0.1}, "unknown key 'lr'"),
        ({"model": {"depth": 3}}, "unknown key 'depth'"),
        ({"choose_share": False}, "unknown key 'choose_share'"),
        ({"method": "cca"}, "'auto', 'kernel', 'ii', got 'cca'"),
        ({"keep": "first"}, "'auto', 'best', 'last', got 'first'"),
        ({"learning_rate": 0.0}, "must be positive, got 0.0"),
        ({"learning_rate": float("inf")}, "must be finite, got inf"),
        ({"weight_decay": -0.1}, "must be not negative"),
        ({"warmup": 1.0}, r"must be in \[0, 1\)"),
        ({"batch_size": 1}, "a single pair has no negative"),
        ({"chunk_size": 0}, "chunk_size must be at least 1"),
        ({"precision": "float16"}, "'auto', 'float32', 'bfloat16', got 'float16'"),
        ({"epochs": 0}, "at least 1"),
        ({"patience": 0}, "at least 1"),
        ({"steps": -1}, "not negative"),
        ({"seed": -1}, "not negative"),
        ({"label_rate": 0.5}, "unknown key 'label_rate'"),
        ({"loss": {"intra_weight": -1.0}}, "intra_weight"),
        ({"loss": {"name": "hinge"}}, "hinge"),
        ({"loss": {"temperature": float("nan")}}, "temperature"),
        ({"model": {"encoder": "rnn"}}, "rnn"),
    ],
)
def test_values_out_of_range_are_rejected(values: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        from_mapping(TrainConfig, values)


def test_a_method_that_does_not_exist_is_rejected() -> None:
    for wrong, message in (
        ({"method": "cca"}, "got 'cca'"),
        ({"keep": "first"}, "got 'first'"),
        ({"precision": "half"}, "got 'half'"),
    ):
        with pytest.raises(ConfigError, match=message):
            TrainConfig(**wrong)  # type: ignore[arg-type]


def test_without_validation_nothing_may_depend_on_it() -> None:
    for wrong in ({"refit": False}, {"keep": "best"}):
        with pytest.raises(ConfigError, match="measures nothing on validation pairs"):
            dataclasses.replace(CONFIG, **{"keep": "last", "validate": False, **wrong})
    assert dataclasses.replace(CONFIG, keep="last", validate=False).validate is False
