"""Writes expected.json: small data and what SciPy 1.17.1 and Evidently 0.7.21 say of it.

    python3 -m venv venv && venv/bin/pip install evidently==0.7.21 scipy==1.17.1 "pandas<3"
    venv/bin/python test/monitor/drift/generate-expected.py
"""

import json
import math
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.legacy.calculations import stattests
from evidently.legacy.calculations.stattests.registry import _get_default_stattest
from evidently.legacy.calculations.stattests.z_stattest import (
    proportions_diff_z_stat_ind,
    proportions_diff_z_test,
)
from evidently.legacy.core import ColumnType
from evidently.presets import DataDriftPreset
from scipy import stats

warnings.filterwarnings("ignore")
rng = np.random.default_rng(20261126)


def rounded(values, digits=4):
    return [round(float(value), digits) for value in values]


def spread(count, start, step, modulus):
    """Values that the test makes again by the same whole-number arithmetic."""
    return [((start + i * step) % modulus) / 64 for i in range(count)]


def some_missing(values, every):
    return [None if i % every == 0 else value for i, value in enumerate(values)]


def chosen(weights, count):
    names = list(weights)
    parts = np.array(list(weights.values())) / sum(weights.values())
    return [str(name) for name in rng.choice(names, size=count, p=parts)]


NUMBER, INTEGER, CATEGORY = "float64", "int64", "string"
MADE = {
    "large, made": ((1500, 17, 7919, 100003), (1300, 5, 7919, 110017)),
    "large, made, alike": ((2000, 3, 4801, 65537), (2000, 31, 4799, 65537)),
    "past the exact test": ((12000, 11, 7919, 100003), (9000, 7, 7907, 100043)),
    "past the exact test, far": ((20000, 11, 7919, 100003), (700, 7, 7907, 131071)),
    "past the exact test, near": ((30000, 11, 7919, 100003), (150, 7, 7907, 100043)),
}
DATA = {
    "shifted normal": (NUMBER, rounded(rng.normal(0, 1, 300)), rounded(rng.normal(0.3, 1.2, 250))),
    "one size": (NUMBER, rounded(rng.normal(5, 2, 200)), rounded(rng.normal(5, 2, 200))),
    "far from zero": (NUMBER, rounded(rng.normal(290, 2, 400)), rounded(rng.normal(291, 2, 333))),
    "heavy tail, both signs": (NUMBER, rounded(rng.standard_cauchy(250)), rounded(2 * rng.standard_cauchy(240))),
    "many ties": (NUMBER, rounded(rng.normal(0, 1, 300), 1), rounded(rng.normal(0.1, 1, 301), 1)),
    "missing": (
        NUMBER,
        some_missing(rounded(rng.normal(0, 1, 300)), 11),
        some_missing(rounded(rng.normal(0, 1, 280)), 4),
    ),
    "tiny": (NUMBER, [0.5, 1.5, 2.5, 3.5], [0.25, 2.75, 9.0, 10.5, 11.25, 12.0]),
    "counts": (INTEGER, [int(v) for v in rng.poisson(12, 400)], [int(v) for v in rng.poisson(14, 380)]),
    "two numbers": (INTEGER, [int(v) for v in rng.integers(0, 2, 200)], [int(v > 0.6) for v in rng.random(150)]),
    "four numbers": (INTEGER, [int(v) for v in rng.integers(0, 4, 300)], [int(v) for v in rng.integers(0, 4, 200)]),
    "twelve numbers": (INTEGER, [int(v) for v in rng.integers(0, 12, 300)], [int(v) for v in rng.integers(2, 13, 220)]),
    "four numbers, large": (
        INTEGER,
        [int(v) for v in rng.integers(0, 4, 1100)],
        [int(v) for v in rng.binomial(3, 0.4, 900)],
    ),
    "categories": (CATEGORY, chosen({"a": 5, "b": 3, "c": 2, "d": 1}, 300), chosen({"a": 4, "b": 3, "c": 3, "d": 1}, 260)),
    "a category vanishes": (CATEGORY, chosen({"a": 5, "b": 3, "c": 2}, 300), chosen({"a": 5, "b": 3}, 200)),
    "a category comes": (CATEGORY, chosen({"a": 5, "b": 3}, 300), chosen({"a": 5, "b": 3, "new": 1}, 200)),
    "two categories": (CATEGORY, chosen({"no": 3, "yes": 1}, 180), chosen({"no": 2, "yes": 1}, 210)),
    "one category": (CATEGORY, ["only"] * 40, ["only"] * 30),
    "categories, large": (
        CATEGORY,
        chosen({f"c{i}": 1 + i % 7 for i in range(30)}, 1500),
        chosen({f"c{i}": 1 + i % 5 for i in range(31)}, 1400),
    ),
    **{name: (NUMBER, spread(*first), spread(*second)) for name, (first, second) in MADE.items()},
}
MEASURES = {
    "psi": stattests.psi_stat_test,
    "ks": stattests.ks_stat_test,
    "jensenshannon": stattests.jensenshannon_stat_test,
    "wasserstein": stattests.wasserstein_stat_test,
    "chisquare": stattests.chi_stat_test,
    "z": stattests.z_stat_test,
}


def evidently_report(reference, current, kind):
    """Method and score of the one column, by Evidently's own preset."""
    columns = {"numerical_columns": ["f"]} if kind is ColumnType.Numerical else {"categorical_columns": ["f"]}
    frames = [
        Dataset.from_pandas(pd.DataFrame({"f": side}), data_definition=DataDefinition(**columns))
        for side in (current, reference)
    ]
    metrics = Report([DataDriftPreset()]).run(*frames).dict()["metrics"]
    drift = next(metric for metric in metrics if "ValueDrift" in metric["metric_name"])
    return drift["metric_name"], float(drift["value"])


def expected_of(name, kind, reference, current):
    column = ColumnType.Categorical if kind == CATEGORY else ColumnType.Numerical
    ref, cur = pd.Series(reference).dropna(), pd.Series(current).dropna()
    if kind == INTEGER:
        ref, cur = ref.astype("int64"), cur.astype("int64")
    distinct = pd.concat([ref, cur]).nunique()
    default = _get_default_stattest(ref, cur, column)
    said = default(ref, cur, column, None)
    metric_name, score = evidently_report(ref, cur, column)
    assert default.display_name in metric_name and (score == said.drift_score or math.isnan(score)), (metric_name, name)
    names = ["psi", "jensenshannon"]
    if column is ColumnType.Numerical:
        names += ["ks", "wasserstein"]
    if column is ColumnType.Categorical or ref.nunique() <= 20:
        names += ["chisquare", "z"]
    measures = {one: float(MEASURES[one](ref, cur, column, None).drift_score) for one in names}
    if distinct == 1:
        # chi-square with no degree of freedom has no p-value there
        measures.pop("chisquare", None)
    is_missing = [pd.Series(side).isna().astype(int) for side in (reference, current)]
    share = [float(side.mean()) for side in is_missing]
    missing_p = (
        1.0 if sum(share) == 0 else float(proportions_diff_z_test(proportions_diff_z_stat_ind(*is_missing)))
    )
    result = {
        "default": default.name,
        "threshold": said.actual_threshold,
        "drifted": bool(said.drifted),
        "measures": measures,
        "missing": {"reference": share[0], "current": share[1], "p_value": missing_p},
    }
    if column is ColumnType.Numerical:
        ks = stats.ks_2samp(ref, cur)
        result["ks"] = {"statistic": float(ks.statistic), "p_value": float(ks.pvalue)}
        result["wasserstein_distance"] = float(stats.wasserstein_distance(ref, cur))
    else:
        table = pd.crosstab(
            pd.concat([ref, cur], ignore_index=True), np.repeat([0, 1], [len(ref), len(cur)])
        ).to_numpy()
        homogeneity = stats.chi2_contingency(table, correction=False)
        parts = table / table.sum(axis=0)
        result["contingency"] = {"statistic": float(homogeneity.statistic), "p_value": float(homogeneity.pvalue)}
        result["l_infinity"] = float(np.max(np.abs(parts[:, 0] - parts[:, 1])))
    return result


def kolmogorov_table():
    """One row for each method and border of it."""
    sizes = [1, 2, 5, 13, 60, 139, 140, 141, 500, 3000, 20000, 99999, 150000]
    rows = []
    for n in sizes:
        for scaled in [0.05, 0.3, 0.55, 0.8, 0.868, 0.88, 1.1, 1.35, 1.48, 1.5, 1.9, 2.1, 3.0]:
            d = scaled / math.sqrt(n)
            if d < 1:
                rows.append([n, d, float(stats.kstwo.sf(d, n))])
        rows.append([n, 0.9 / n, float(stats.kstwo.sf(0.9 / n, n))])
        rows.append([n, 0.6, float(stats.kstwo.sf(0.6, n))])
    return rows


def two_sample_table():
    rows = []
    for m, n in [(3, 3), (7, 5), (40, 40), (100, 73), (1000, 999), (500, 2), (10000, 10000), (10000, 37), (4000, 3000)]:
        for scaled in [0.4, 0.9, 1.36, 2.0]:
            common = m // math.gcd(m, n) * n
            steps = max(1, min(common, round(scaled * math.sqrt((m + n) / (m * n)) * common)))
            d = steps / common
            # two samples with that very distance are not needed: SciPy's own tail of it
            from scipy.stats._stats_py import _attempt_exact_2kssamp

            is_exact, _, p = _attempt_exact_2kssamp(m, n, math.gcd(m, n), d, "two-sided")
            if is_exact:
                rows.append([m, n, d, float(p)])
    return rows


cases = {}
for name, (kind, reference, current) in DATA.items():
    data = {"made": MADE[name]} if name in MADE else {"reference": reference, "current": current}
    cases[name] = {"type": kind, **data, **expected_of(name, kind, reference, current)}
tails = [
    [float(x), degrees, float(stats.chi2.sf(x, degrees))]
    for degrees in (1, 2, 3, 10, 57, 400)
    for x in (0.01, 0.5 * degrees, degrees, 2 * degrees, 3 * degrees + 20)
]
out = Path(__file__).parent / "expected.json"
content = {"cases": cases, "kolmogorov": kolmogorov_table(), "twoSample": two_sample_table(), "chiSquare": tails}
out.write_text(json.dumps(content, separators=(",", ":")) + "\n")
print(f"{out}: {out.stat().st_size} bytes")
