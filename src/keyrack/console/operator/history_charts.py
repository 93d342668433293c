"""Makes charts of what became of refreshes: those that brought tokens and, on their own scale, those that did not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from keyrack.console.core.charts import Chart, Column, chart
from keyrack.console.operator.words import RESULTS, number
from keyrack.model.operations import RefreshResult
from keyrack.service.operator.refresh_history import Period, RefreshSpan

PERIODS: Mapping[Period, str] = {Period.hours: "3 hours", Period.day: "24 hours", Period.month: "30 days"}
_TICKS = 6
_FAILED = [each for each in RefreshResult if each is not RefreshResult.renewed]


@dataclass(frozen=True, slots=True)
class HistoryCharts:
    """What a page shows of a period.

    Attributes:
        renewed: a chart of refreshes that brought tokens.
        failed: a chart of all others.
        spans: what both are made of, the newest first.
        labels: of the spans.
        results: those that any refresh came to, in order.
    """

    renewed: Chart
    failed: Chart
    spans: Sequence[RefreshSpan]
    labels: Sequence[str]
    results: Sequence[RefreshResult]


def history_charts(spans: Sequence[RefreshSpan], period: Period) -> HistoryCharts:
    """Make the charts of a period.

    Args:
        spans: as `RefreshHistory.spans` returns them.
        period: which one it is.
    """
    labels = [_label(span, period) for span in spans]
    every = max(1, len(spans) // _TICKS)
    ticks = {place: _tick(spans[place], period) for place in range(every // 2, len(spans), every)}
    renewed = [
        Column(span.began_at, label, _only(span, [RefreshResult.renewed]))
        for span, label in zip(spans, labels, strict=True)
    ]
    failed = [Column(span.began_at, label, _only(span, _FAILED)) for span, label in zip(spans, labels, strict=True)]
    kinds = [each.value for each in _FAILED]
    good, bad = sum(column.total for column in renewed), sum(column.total for column in failed)
    within = f"in the last {PERIODS[period]}"
    return HistoryCharts(
        chart("renewed-chart", "Renewed", f"{number(good)} {within}", renewed, ["renewed"], ticks),
        chart("failed-chart", "Not renewed", f"{number(bad)} {within}", failed, kinds, ticks, height=80),
        spans[::-1],
        labels[::-1],
        [each for each in RESULTS if any(span.results.get(each) for span in spans)],
    )


def _only(span: RefreshSpan, results: Sequence[RefreshResult]) -> dict[str, int]:
    return {each.value: span.results[each] for each in results if span.results.get(each)}


def _label(span: RefreshSpan, period: Period) -> str:
    if period is Period.month:
        return f"{span.began_at:%d %B}"
    ends_at = span.began_at + timedelta(seconds=span.seconds)
    return f"{span.began_at:%d %B, %H:%M} to {ends_at:%H:%M} UTC"


def _tick(span: RefreshSpan, period: Period) -> str:
    return f"{span.began_at:%d %b}" if period is Period.month else f"{span.began_at:%H:%M}"
