"""GPU tests: same values as on the CPU up to rounding, determinism and memory."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from reelscore.encoders.hub.files import find_model
from reelscore.encoders.hub.music import HubMusic
from reelscore.encoders.hub.video import HubVideo
from reelscore.errors import InputError
from reelscore.losses import InterIntraLoss, LossConfig, PairLoss, build_loss
from reelscore.models.config import SequenceEncoder
from reelscore.training import TrainConfig, loop, train
from reelscore.training.loop import EpochReport
from research.runs.run import Run
from research.runs.runner import Runner
from support.loss_batches import CONFIGS, batch
from support.research_sets import write_lastfm
from support.tiny_hub import PICTURES, SOUNDS, write_model
from support.training_sets import CONFIG, file_contents, synthetic_pairs

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU that torch can use")

MEMORY = 2_000_000_000


def moved(given: dict[str, torch.Tensor], dtype: torch.dtype) -> dict[str, torch.Tensor]:
    return {
        key: value.to("cuda", dtype) if value.is_floating_point() else value.to("cuda")
        for key, value in given.items()
    }


def loss_and_gradients(
    loss: PairLoss, given: dict[str, torch.Tensor], cast: torch.dtype | None = None
) -> list[torch.Tensor]:
    """Return the loss, its gradients by both sides, and those of its own parameters."""
    sides = {side: given[side].clone().requires_grad_() for side in ("video_embeddings", "music_embeddings")}
    with torch.autocast("cuda", cast or torch.bfloat16, enabled=cast is not None):
        total = loss(**{**given, **sides})
    total.backward()
    gradients = [*(side.grad for side in sides.values()), *(p.grad for p in loss.parameters())]
    return [total.detach(), *(gradient for gradient in gradients if gradient is not None)]


@pytest.mark.parametrize("chunk_size", [None, 4])
@pytest.mark.parametrize("name", CONFIGS)
def test_a_loss_has_the_value_and_gradient_that_it_has_on_the_cpu(name: str, chunk_size: int | None) -> None:
    loss = build_loss(dataclasses.replace(CONFIGS[name], chunk_size=chunk_size)).double()
    on_cpu = loss_and_gradients(loss, batch())
    loss.zero_grad()
    on_gpu = loss_and_gradients(loss.cuda(), moved(batch(), torch.float64))
    assert len(on_cpu) == len(on_gpu)
    for actual, expected in zip(on_gpu, on_cpu, strict=True):
        torch.testing.assert_close(actual.cpu(), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", CONFIGS)
def test_autocast_and_half_precision_cost_nothing_but_rounding(name: str, half: torch.dtype) -> None:
    loss = build_loss(dataclasses.replace(CONFIGS[name], temperature=0.01)).cuda()
    given = moved(batch(), torch.float32)
    rounded = {key: value.to(half) if "embeddings" in key else value for key, value in given.items()}
    single = {key: value.float() if "embeddings" in key else value for key, value in rounded.items()}
    plain = loss_and_gradients(loss, single)
    for what in (rounded, single):
        for cast in (torch.float16, torch.bfloat16):
            loss.zero_grad()
            for actual, expected in zip(loss_and_gradients(loss, what, cast), plain, strict=True):
                torch.testing.assert_close(actual.to(half), expected.to(half))


@pytest.mark.parametrize("intra", ["kl", "mse"])
def test_blocks_hold_a_large_batch_in_little_memory(intra: str) -> None:
    rng = torch.Generator("cuda").manual_seed(0)
    rows = [torch.randn(32_768, 256, device="cuda", generator=rng) for _ in range(4)]
    loss = InterIntraLoss(intra=intra, chunk_size=1024).cuda()  # type: ignore[arg-type]
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    for side in rows[:2]:
        side.requires_grad_()
    loss(rows[0], rows[1], video_features=rows[2], music_features=rows[3]).backward()
    assert torch.cuda.max_memory_allocated() - before < MEMORY


def test_a_batch_over_two_devices_is_refused_in_words() -> None:
    given = moved(batch(), torch.float32)
    loss = build_loss(LossConfig()).cuda()
    with pytest.raises(InputError, match="cpu"):
        loss(**{**given, "music_features": given["music_features"].cpu()})
    labels = given.pop("group")
    for anywhere in (labels.cpu(), labels.tolist(), labels.cpu().numpy()):
        assert torch.equal(loss(**given, labels=anywhere), loss(**given, labels=labels))


@pytest.mark.parametrize("encoder", ["attention", "transformer"])
def test_training_repeats_itself_to_the_byte_also_where_it_was_cut_off(
    tmp_path: Path, encoder: SequenceEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "_SAVE_INTERVAL_S", 0.0)
    model = dataclasses.replace(CONFIG.model, encoder=encoder)
    config, pairs = dataclasses.replace(CONFIG, keep="last", model=model), synthetic_pairs()
    for name in ("first", "again"):
        train(pairs, config=config, folder=tmp_path / name)

    def cut(report: EpochReport) -> None:
        if report.epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(pairs, config=config, folder=tmp_path / "cut", progress=cut)
    train(pairs, config=config, folder=tmp_path / "cut", resume=True)
    first = file_contents(tmp_path / "first")
    assert file_contents(tmp_path / "again") == first
    assert file_contents(tmp_path / "cut") == first


def test_a_model_learns_what_it_learns_on_the_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = synthetic_pairs()  # CONFIG has no dropout, whose random states differ between devices
    on_gpu = train(pairs, config=CONFIG, folder=tmp_path / "gpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    on_cpu = train(pairs, config=CONFIG, folder=tmp_path / "cpu")
    assert on_cpu.history[-1]["recall@10"] > 0.5
    for actual, expected in zip(on_gpu.history, on_cpu.history, strict=True):
        assert actual == pytest.approx(expected, rel=0.02, abs=0.02)


def test_an_experiment_says_on_what_it_ran(tmp_path: Path) -> None:
    data = write_lastfm(tmp_path / "data")
    run = Run({"kind": "set", "name": "lastfm"}, config=TrainConfig(method="ii", epochs=2, patience=2))
    outcome = Runner(cache=tmp_path, data=data).perform([run])[run]
    assert torch.cuda.get_device_name() in outcome.machine


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("models")
    return {kind: write_model(folder / kind, kind) for kind in (*PICTURES, *SOUNDS)}


@pytest.mark.parametrize("kind", [*PICTURES, *SOUNDS])
def test_a_hub_encoder_in_half_precision_says_what_it_says_in_single(
    models: dict[str, Path], kind: str
) -> None:
    rows = []
    for cpu_only in (True, False, False):
        files = find_model(str(models[kind]))
        encoder = HubVideo(files, mode="exact") if kind in PICTURES else HubMusic(files)
        encoder.model.cpu_only = cpu_only
        rng = np.random.default_rng(0)
        if isinstance(encoder, HubVideo):
            rows.append(
                encoder.embed_images([rng.integers(0, 255, (48, 64, 3), dtype=np.uint8) for _ in "abc"])
            )
        else:
            size = encoder.tower.num_samples
            rows.append(
                encoder.embed_windows([0.1 * rng.standard_normal(size).astype(np.float32) for _ in "abc"])
            )
    single, half, again = (np.asarray(each, np.float64) for each in rows)
    np.testing.assert_array_equal(again, half)
    cosine = (single * half).sum(axis=1) / np.linalg.norm(single, axis=1) / np.linalg.norm(half, axis=1)
    assert cosine.min() > 0.999
    assert not np.array_equal(half, single)
