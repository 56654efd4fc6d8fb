"""The outcomes of `noise` enter, its tables, charts and answer leave."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from research.plan_files import OURS, TWIN
from research.recipes.synthetic import World
from research.report.format import INTERVALS, MISSING, percent, with_interval
from research.report.intervals import estimate_of, per_query
from research.result import Chart, Line, Panel, Result, Table
from research.runs.tuning import Choice, settings_table

from .false_negatives_figures import (
    Spread,
    frozen_reliability,
    gap,
    mean_curve,
    measured_rate,
    over_worlds,
    won_back,
)
from .false_negatives_plan import MASKED, POSITIVES, REGIMES, NoisePlan, Place, Scored, name_of, told_spaces

TRUTH, INSTANCE = "suiting", "recall@10"
GOAL = 1 / 3
ByRate: TypeAlias = Mapping[tuple[float, str], Spread]
Shares: TypeAlias = Mapping[Place, Spread | None]
Choices: TypeAlias = Mapping[tuple[str, str], Choice]


def conclude(plan: NoisePlan, scored: Scored, chosen: Choices, real: Scored, real_chosen: Choices) -> Result:
    """Make tables, charts and the answer from the outcomes of worlds and public sets."""
    rows = [*(space.title for space in plan.losses), MASKED, POSITIVES]
    truth, instance = (_by_rate(plan, rows, scored, metric) for metric in (TRUTH, INSTANCE))
    back, fixed = _won_back(plan, rows, truth), _fixed(plan, scored)
    size = plan.train.batch_size
    measured = {name_of(r): measured_rate(plan.world, batch_size=size, rate=r) for r in plan.rates}
    reliability = {topic: frozen_reliability(_louder(plan, topic)) for topic in plan.loudness}
    gaps = {place: gap(scored[place]) for place in _watched(plan, scored)}
    return Result(
        name="noise",
        title="False negatives",
        question=(
            "Where many tracks suit a video, contrastive training pushes apart what belongs together. What does that "
            "cost, measured against the whole truth of made worlds, and how much of it does the intra term win back?"
        ),
        answer=_answer(plan, truth, back, fixed),
        tables=(
            _rate_table("mAP against the truth, in percent", plan, rows, truth),
            _rate_table("R@10 of the one observed track, in percent", plan, rows, instance),
            _won_back_table(plan, rows, back),
            _regime_table(plan, scored, fixed),
            _loudness_table(plan, scored, fixed, reliability),
            _gap_table(gaps),
            *_real_tables(plan, real),
        ),
        charts=(_rate_chart(plan, rows, truth, instance), *_curve_charts(plan, scored)),
        settings=_settings(plan, chosen, real_chosen),
        notes=_notes(plan, measured),
        figures={
            "map": _listed(truth),
            "recall@10": _listed(instance),
            "won_back": _listed({place: told for place, told in back.items() if told is not None}),
            "measured_rate": measured,
            "gap": [
                {"place": [*map(str, p)], **{n: s.to_json() for n, s in g.items()}} for p, g in gaps.items()
            ],
            "fixed": [
                {"place": [*map(str, place)], "won_back": None if told is None else told.to_json()}
                for place, told in fixed.items()
            ],
            "reliability": [{"topic": topic, **told} for topic, told in reliability.items()],
            "real": [
                {"set": name, "row": row, "map": float(np.mean([one.metrics[TRUTH] for one in done]))}
                for (name, row), done in real.items()
            ],
        },
    )


def _by_rate(plan: NoisePlan, rows: list[str], scored: Scored, metric: str) -> ByRate:
    places = [(rate, row) for rate in plan.rates for row in rows if scored.get((rate, row))]
    return {place: over_worlds(scored[place], metric) for place in places}


def _won_back(plan: NoisePlan, rows: list[str], figures: ByRate) -> Mapping[tuple[float, str], Spread | None]:
    found: dict[tuple[float, str], Spread | None] = {}
    clean = figures.get((0.0, TWIN))
    for rate in plan.rates[1:]:
        for row in rows:
            ours, twin = figures.get((rate, row)), figures.get((rate, TWIN))
            if row != TWIN and clean and twin and ours:
                found[rate, row] = won_back(*(np.array(one.values) for one in (ours, twin, clean)))
    return found


def _fixed(plan: NoisePlan, scored: Scored) -> Shares:
    """Return what is won back at fixed settings, by regime and by loudness."""
    places: list[Place] = [("regime", *regime) for regime in REGIMES]
    places += [("loudness", topic) for topic in plan.loudness]
    found: dict[Place, Spread | None] = {}
    for place in places:
        needed = [scored.get((*place, *which)) for which in ((plan.at, OURS), (plan.at, TWIN), (0.0, TWIN))]
        if all(needed):
            found[place] = won_back(*(per_query(done or (), TRUTH).mean(axis=1) for done in needed))
    return found


def _louder(plan: NoisePlan, topic: float) -> World:
    return replace(plan.world, topic=topic, seed=plan.seeds[0])


def _cell(told: Spread | None) -> str:
    return MISSING if told is None else f"{percent(told.mean)} ({percent(told.low)}–{percent(told.high)})"


def _share(told: Spread | None) -> str:
    if told is None:
        return MISSING
    return f"{100 * told.mean:.0f}% ({100 * told.low:.0f} to {100 * told.high:.0f})".replace("-", "−")


def _rate_table(title: str, plan: NoisePlan, rows: list[str], figures: ByRate) -> Table:
    return Table(
        title,
        ("loss", *(f"{name_of(rate)} false" for rate in plan.rates)),
        tuple((row, *(_cell(figures.get((rate, row))) for rate in plan.rates)) for row in rows),
    )


def _won_back_table(
    plan: NoisePlan, rows: list[str], back: Mapping[tuple[float, str], Spread | None]
) -> Table:
    rates = plan.rates[1:]
    return Table(
        "Share won back of the mAP that InfoNCE loses against its own 0%",
        ("loss", *(f"{name_of(rate)} false" for rate in rates)),
        tuple((row, *(_share(back.get((rate, row))) for rate in rates)) for row in rows if row != TWIN),
        "Each loss with the settings that validation chose for it at that rate; below 0% it loses more than InfoNCE.",
    )


def _columns(plan: NoisePlan) -> list[tuple[float, str]]:
    return [(0.0, TWIN), (plan.at, TWIN), (0.0, OURS), (plan.at, OURS), (plan.at, MASKED)]


def _headings(plan: NoisePlan) -> list[str]:
    return [f"{row}, {name_of(rate)}" for rate, row in _columns(plan)]


def _map_of(scored: Scored, place: Place) -> str:
    done = scored.get(place)
    return _cell(over_worlds(done, TRUTH)) if done else MISSING


def _regime(cca: bool, keep: str) -> str:
    return f"{'with' if cca else 'without'} the CCA, {keep} epoch"


def _regime_table(plan: NoisePlan, scored: Scored, fixed: Shares) -> Table:
    rows = []
    for cca, keep in REGIMES:
        place = ("regime", cca, keep)
        cells = [_map_of(scored, (*place, *which)) for which in _columns(plan)]
        rows.append((_regime(cca, keep), *cells, _share(fixed.get(place))))
    return Table(
        f"mAP at one learning rate for all ({plan.fixed_learning_rate:g}), by training",
        ("training", *_headings(plan), f"{OURS} wins back"),
        tuple(rows),
        "The other settings are those that validation chose. The best epoch is that of the lowest mean log rank there.",
    )


def _loudness_table(
    plan: NoisePlan, scored: Scored, fixed: Shares, reliability: Mapping[float, Mapping[str, float]]
) -> Table:
    rows = []
    for topic in plan.loudness:
        frozen = " / ".join(percent(reliability[topic][side]) for side in ("video", "music"))
        cells = [_map_of(scored, ("loudness", topic, *which)) for which in _columns(plan)[:-1]]
        rows.append((f"{topic:g}", frozen, *cells, _share(fixed.get(("loudness", topic)))))
    return Table(
        "mAP by how loudly the topic is heard in the frozen features (no CCA, last epoch, one learning rate)",
        ("topic", "frozen mAP, video / music", *_headings(plan)[:-1], f"{OURS} wins back"),
        tuple(rows),
        "Frozen mAP: how well an item's own modality, before any training, finds the others of its topic.",
    )


def _watched(plan: NoisePlan, scored: Scored) -> list[Place]:
    places = [("regime", False, "last", rate, row) for rate in (0.0, plan.at) for row in (TWIN, OURS)]
    return [place for place in places if scored.get(place)]


def _gap_table(gaps: Mapping[Place, Mapping[str, Spread]]) -> Table:
    rows = []
    for place, told in gaps.items():
        loss = told["loss"]
        cells = f"{loss.mean:.2f} ({loss.low:.2f}–{loss.high:.2f})", _cell(told["recall@10"])
        rows.append((f"{place[-1]}, {name_of(place[-2])}", *cells))
    return Table(
        "Gap between training and validation after the last epoch (no CCA, one learning rate)",
        ("training", "loss on validation less loss on training", "R@10 on training less R@10 on validation"),
        tuple(rows),
        "Both on equally many pairs, without dropout, batches at random; each loss by its own measure.",
    )


def _real_tables(plan: NoisePlan, real: Scored) -> list[Table]:
    tables = []
    for name in plan.sets:
        there = {
            row: real[name, row] for row in (*plan.real_losses, MASKED, POSITIVES) if real.get((name, row))
        }
        rows = []
        for row, done in there.items():
            told = (estimate_of(done, metric) for metric in (INSTANCE, TRUTH))
            rows.append((row, *(with_interval(one) for one in told)))
        if rows:
            chance = next(iter(there.values()))[0].chance
            rows.append(("chance", percent(chance[INSTANCE]), percent(chance[TRUTH])))
            title = f"{name}: what is known of the truth, hidden from training and told, in percent"
            tables.append(Table(title, ("loss", "R@10", "mAP against what is known"), tuple(rows)))
    return tables


def _rate_chart(plan: NoisePlan, rows: list[str], truth: ByRate, instance: ByRate) -> Chart:
    panels = []
    for title, figures in (("mAP against the truth", truth), ("R@10 of the observed track", instance)):
        lines = []
        for row in rows:
            there = [rate for rate in plan.rates if (rate, row) in figures]
            told = [figures[rate, row] for rate in there]
            y, low, high = (tuple(100 * getattr(one, end) for one in told) for end in ("mean", "low", "high"))
            if there:
                lines.append(Line(row, tuple(100 * rate for rate in there), y, low, high))
        panels.append(Panel(title, tuple(lines)))
    ticks = tuple(100 * rate for rate in plan.rates)
    return Chart(
        "rates", "What false negatives cost", "false among the negatives, %", "%", tuple(panels), ticks
    )


def _curve_charts(plan: NoisePlan, scored: Scored) -> list[Chart]:
    charts = []
    for figure, y_label, scale in (("loss", "loss", 1.0), ("recall@10", "R@10, %", 100.0)):
        panels = []
        for place in _watched(plan, scored):
            lines = []
            for part in ("train", "val"):
                y = tuple(scale * value for value in mean_curve(scored[place], f"watched_{figure}_{part}"))
                lines.append(Line(part, tuple(float(epoch) for epoch in range(len(y))), y))
            panels.append(Panel(f"{place[-1]}, {name_of(place[-2])}", tuple(lines)))
        if panels:
            name, title = f"curves-{figure.partition('@')[0]}", f"Training and validation: {y_label}"
            charts.append(Chart(name, title, "epoch", y_label, tuple(panels)))
    return charts


def _settings(plan: NoisePlan, chosen: Choices, real: Choices) -> tuple[Table, ...]:
    told = told_spaces(plan)
    tables = [settings_table(replace(plan, losses=(*plan.losses, *told)), chosen)] if chosen else []
    if real:
        losses = tuple(space for space in plan.losses if space.title in plan.real_losses)
        tables.append(settings_table(replace(plan, losses=(*losses, *told)), real))
    return tuple(tables)


def _notes(plan: NoisePlan, measured: Mapping[str, float]) -> tuple[str, ...]:
    rates = ", ".join(f"{name}: {percent(value)}%" for name, value in measured.items())
    return (
        (
            "The made worlds (`experiments/latent.py`) are the same at every rate, pair by pair: features, truth, "
            "validation, test, batch size and number of steps. Only the composition of the training batches changes, "
            "which sets the share of an anchor's negatives that in truth suit it; the rates measured on drawn batches "
            f"are {rates}. What remains of the difference when InfoNCE is told which negatives are false, and tuned "
            f"as long (the row '{MASKED}'), is due to the narrower batches and not to false negatives."
        ),
        (
            f"{len(plan.seeds)} worlds, each with its own training seed; the intervals of made worlds are Student's t "
            "over worlds. Every setting was chosen by the mean log rank of the one observed track on the validation "
            "pairs of a world that is not scored; validation never knew the truth. One network a tower, without "
            "the CCA, trains to the last epoch, unless a table says otherwise: a CCA knows no negatives, and a "
            "validated epoch stops before false negatives have done all their harm."
        ),
        INTERVALS,
    )


def _answer(
    plan: NoisePlan, figures: ByRate, back: Mapping[tuple[float, str], Spread | None], fixed: Shares
) -> str:
    clean, twin = figures.get((0.0, TWIN)), figures.get((plan.at, TWIN))
    if clean is None or twin is None:
        return "The runs of InfoNCE have failed, so there is nothing to compare with."
    told = [
        f"At {name_of(plan.at)} InfoNCE's mAP is {percent(twin.mean)}, at 0% {percent(clean.mean)}, each tuned."
    ]
    here = {row: one for (rate, row), one in back.items() if rate == plan.at and one is not None}
    if OURS in here:
        told.append(f"The intra term wins back {_share(here[OURS])} of the difference, {_met(here[OURS])}.")
    rivals = [row for row in here if row not in (MASKED, POSITIVES) and not row.startswith(OURS)]
    if rivals:
        best = max(rivals, key=lambda row: here[row].mean)
        told.append(f"The best of the losses that are told as little is {best} with {_share(here[best])}.")
    if MASKED in here:
        told.append(f"Knowing which negatives are false would win back {_share(here[MASKED])}.")
    regimes = [f"{_regime(p[1], p[2])} {_share(one)}" for p, one in fixed.items() if p[0] == "regime" and one]
    if regimes:
        told.append(f"At one learning rate for all the intra term wins back: {'; '.join(regimes)}.")
    return " ".join(told)


def _met(share: Spread) -> str:
    if share.mean < GOAL:
        return "less than a third"
    return "at least a third" + (" by the mean, though not by the interval" if share.low < GOAL else "")


def _listed(figures: Mapping[tuple[float, str], Spread]) -> list[dict[str, object]]:
    return [{"rate": rate, "row": row, **told.to_json()} for (rate, row), told in figures.items()]
