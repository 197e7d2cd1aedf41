"""The paper's Tables 2 and 3 with our results beside the paper's, as CSV and as Markdown.

In   the content of reports/evaluate.json: origin; rows by kind (train, test, majority_class); models by name (rows;
     same_design_as: the first network of equal parameters, which may be itself; validation: seeds, folds, metric ->
     mean, standard_deviation; test: rows, `METRICS`, intervals; runs: likewise, and ensemble); without_training by kind
Out  text: CSV holds shares in [0, 1], Markdown accuracies in percent as the paper prints them
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.evaluation import baselines, comparisons, crossing, pairs
from pipeline.evaluation.metrics import METRICS
from pipeline.frame import acquired
from pipeline.frame.paper import B_T4SA_ROWS, LABELLED_ROWS, TABLE_2, TABLE_3, WITHOUT_FIGURES, PaperRow

Results = Mapping[str, Mapping[str, Any]]

COLUMNS = (
    "kind", "name", "author", "paper_accuracy", "seeds", "folds", "validation_accuracy", "validation_accuracy_sd",
    "test_rows", *(f"test_{metric}{part}" for metric in METRICS for part in ("", "_low", "_high")),
    "networks", "networks_test_accuracy", "networks_test_accuracy_sd", "ensemble_test_accuracy",
    "ensemble_test_accuracy_low", "ensemble_test_accuracy_high",
)  # fmt: skip
NOT_TRAINED = "not trained"
ONE_RUN = "one run"
VALIDATION = (
    "The paper reports validation accuracy. Ours is that of the rows which each run, with its fold and seed, held out; "
    "they also decided when training stopped, so the test figures are the stricter ones. Those are of the network that "
    "is published, of fold 0 and the first seed; beside them stand the mean of all networks that were kept and what "
    "their mean answer, the ensemble, gets."
)
COMPARED = (
    "Differences are of accuracy on the same test rows, in percentage points, with 95 % intervals of resampled groups. "
    "McNemar's exact test takes rows for independent; the other deals signs to groups of rows that share a tweet or a "
    "picture, and is the one to trust. Both are corrected by Holm for the number of networks compared on these rows."
)
TEACHERS = (
    "Labels are those of the teacher that is surer, so its copy is right in every row by construction. The paper's "
    "section 5.4 expects 100 % of either teacher; one teacher alone gets what is shown."
)

BEYOND = "(beyond the paper)"
WORDS = (
    "Beyond the paper, N2 of speech can be the frozen encoder of Whisper tiny.en, which was trained to write speech "
    "down:"
)


MAJORITY = (
    f"In the paper's dataset {LABELLED_ROWS['happy']:,} of {LABELLED_ROWS['kept']:,} rows are happy: always saying so "
    f"is right in {LABELLED_ROWS['happy'] / LABELLED_ROWS['kept']:.1%}, beside which its accuracies are to be read."
)


@dataclass(frozen=True)
class ResultTable:
    """What a table is made of."""

    title: str
    notes: Sequence[str]  # one paragraph each
    paper: Sequence[PaperRow]
    networks: Results  # ours by name; those that the paper has no row for come below its rows
    baselines: Results  # test results of what needs no training, by the words that describe it

    @property
    def rows(self) -> list[tuple[PaperRow | None, str, Mapping[str, Any] | None]]:
        """(row of the paper, name, our result), either of the two possibly None."""
        known = [(row, row.name, self.networks.get(row.model)) for row in self.paper]
        ours = [name for name in self.networks if name not in {row.model for row in self.paper}]
        return [*known, *((None, self._marked(name), self.networks[name]) for name in ours)]

    def _marked(self, name: str) -> str:
        return f"{name} {BEYOND}" if self.networks[name].get("beyond_the_paper") else name


def table_2(findings: Mapping[str, Any]) -> ResultTable:
    """Emotion recognition: the networks of the dataset's rows."""
    scale = findings["rows"].get("sier")
    notes = [_scale(findings, scale, f"the paper's dataset has {LABELLED_ROWS['kept']:,}"), VALIDATION, MAJORITY]
    if scale:
        notes.append(TEACHERS)
    if tried := [f"`{name}`" for name in findings["models"] if name in WITHOUT_FIGURES]:
        notes.append(f"Tried by the paper too (sections 3.2.1 and 4.3.2), which prints no figure: {', '.join(tried)}.")
    notes += _training_notes(findings, "sier")
    notes += [f"{WORDS} {pairs.sentence(pair)}." for pair in findings.get("paired", ())]
    return _table_of("Table 2: emotion recognition (section 4.3.2)", notes, TABLE_2, findings, "sier")


def table_3(findings: Mapping[str, Any]) -> ResultTable:
    """Sentiment classification: the networks of all rows of B-T4SA that could be spoken."""
    scale = _scale(findings, findings["rows"].get("clean"), f"B-T4SA has {B_T4SA_ROWS:,} in all")
    notes = [scale, "The splits are the corpus's own; its validation split decided when training stopped."]
    notes += [*crossing.notes(findings), *_training_notes(findings, "clean")]
    return _table_of("Table 3: sentiment classification (section 5.3)", notes, TABLE_3, findings, "clean")


def _table_of(
    title: str, notes: list[str], paper: Sequence[PaperRow], findings: Mapping[str, Any], kind: str
) -> ResultTable:
    networks = {name: result for name, result in findings["models"].items() if result["rows"] == kind}
    twins = [
        f"`{first}` and `{name}`" for name, result in networks.items() if (first := result["same_design_as"]) != name
    ]
    if twins:
        notes.append(f"The same network with two seeds, by `params.yaml`: {', '.join(twins)}.")
    without = {
        _words(name, findings["rows"][kind]): test for name, test in findings["without_training"].get(kind, {}).items()
    }
    return ResultTable(title, notes, paper, networks, without)


def _words(baseline: str, scale: Mapping[str, Any]) -> str:
    if baseline == baselines.MAJORITY:
        return f"Majority class of train ({scale['majority_class']})"
    return f"Copy of the {baseline.replace('_', ' ')}'s label"


def _training_notes(findings: Mapping[str, Any], kind: str) -> list[str]:
    """What of training says that a network has learnt little."""
    found = {name: result for name, result in findings["models"].items() if result["rows"] == kind}
    notes = []
    first = [name for name, result in found.items() if result["validation"]["best_epoch"] == 1]
    if first:
        names = ", ".join(f"`{name}`" for name in first)
        by = {found[name]["validation"]["best_by"] for name in first}
        notes.append(
            f"Kept as they were after their first epoch, whose validation {' or '.join(sorted(by))} was the best, and "
            f"so hardly trained: {names} (`train.best_by`, `train.learning_rate`)."
        )
    never = []
    for name, result in found.items():
        per_class = result["test"]["per_class"].items()
        # Precision is defined where a class was named, be it wrongly.
        missed = [label for label, scores in per_class if scores["precision"] is None and scores["support"]]
        never += [f"`{name}` {', '.join(missed)}"] if missed else []
    if never:
        notes.append(f"Classes of the test rows that a network names in none of them: {'; '.join(never)}.")
    return notes


def _scale(findings: Mapping[str, Any], scale: Mapping[str, Any] | None, theirs: str) -> str:
    if scale is None:
        return "No network of `params.yaml` is trained on these rows."
    sample = findings["origin"] == acquired.SAMPLE
    corpus = acquired.NAMED[findings.get("format", "b_t4sa")]
    where = "the embedded sample" if sample else f"a local copy of {corpus}"
    caution = "; that shows that everything runs, not how good a network is" if sample else ""
    return (
        f"Run on {where}: {scale['train']:,} rows in train and {scale['test']:,} in test, where {theirs}{caution}. "
        "Brackets hold 95 % intervals by groups of test rows (rows of a group share a tweet or a picture); ± is the "
        "sample standard deviation over runs, which differ in fold or seed."
    )


def csv_rows(table: ResultTable) -> list[list[Any]]:
    """Rows of `COLUMNS`, for `pipeline.frame.metrics_files.write_plot`; empty cells are None.

    `kind` is `network`, `published` for other people's work, or `baseline`.
    """
    rows: list[list[Any]] = []
    for paper, name, result in table.rows:
        author, accuracy = (paper.author, paper.accuracy) if paper else ("", None)
        kind = "published" if author else "network"
        validation = result["validation"] if result else {}
        cells = [kind, name, author, accuracy, *(validation.get(part) for part in ("seeds", "folds"))]
        cells += _mean_and_deviation(validation)
        rows.append([*cells, *_test_values(result["test"] if result else None), *_values_of_runs(result)])
    none = _values_of_runs(None)
    rows += [["baseline", name, *[None] * 6, *_test_values(test), *none] for name, test in table.baselines.items()]
    return rows


def markdown(table: ResultTable) -> str:
    """The whole page."""
    authors = any(row.author for row in table.paper)
    ours = ("Ours, validation (%)", "Ours, test (%)", "Macro F1", "Cohen's kappa", "Test rows")
    of_runs = ("Networks", "Their test mean (%)", "Ensemble, test (%)")
    head = ["Model", *(["Author"] if authors else []), "Paper (%)", *ours, *of_runs]
    body = []
    for paper, name, result in table.rows:
        cells = [name, *([paper.author if paper else ""] if authors else [])]
        cells.append(_percent(paper.accuracy) if paper else "")
        if result:
            cells += [_with_deviation(result["validation"]), *_test_cells(result["test"]), *_cells_of_runs(result)]
        else:
            cells += ["" if paper and paper.author else NOT_TRAINED, *[""] * 7]
        body.append(cells)
    lines = [f"# {table.title}", "", *_table(head, body, left=1 + authors), ""]
    head = ["Without training", *ours[1:]]
    lines += _table(head, [[name, *_test_cells(test)] for name, test in table.baselines.items()], left=1)
    for note in table.notes:
        lines += ["", note]
    return "\n".join(lines) + "\n"


def comparisons_markdown(compared: Sequence[Mapping[str, Any]]) -> str:
    """The page of `reports/comparisons.md`."""
    lines = ["# Networks compared on the same test rows", ""]
    head = [
        "Rows", "Model", "Against", "Difference", "Right alone", "The other alone", "p, McNemar", "Holm", "p, groups",
        "Holm",
    ]  # fmt: skip
    body = [
        [
            row["rows_of"], row["model"], row["against"], _difference(row), str(row["only_right"]),
            str(row["only_other_right"]), *(f"{row[key]:.3f}" for key in comparisons.COLUMNS[-4:]),
        ]
        for row in compared
    ]  # fmt: skip
    return "\n".join([*lines, *_table(head, body, left=3), "", COMPARED]) + "\n"


def _difference(row: Mapping[str, Any]) -> str:
    ends = "" if row["low"] is None else f" [{100 * row['low']:+z.2f}, {100 * row['high']:+z.2f}]"
    return f"{100 * row['difference']:+z.2f}{ends}"


def _mean_and_deviation(figures: Mapping[str, Any]) -> list[float | None]:
    return [figures.get("accuracy", {}).get(part) for part in ("mean", "standard_deviation")]


def _values_of_runs(result: Mapping[str, Any] | None) -> list[Any]:
    runs = result["runs"] if result else None
    if runs is None:
        return [1 if result else None, *[None] * 5]
    ensemble = runs["ensemble"]
    return [runs["networks"], *_mean_and_deviation(runs), ensemble["accuracy"], *ensemble["intervals"]["accuracy"]]


def _cells_of_runs(result: Mapping[str, Any]) -> list[str]:
    runs = result["runs"]
    if runs is None:
        return ["1", "", ""]
    return [str(runs["networks"]), _with_deviation(runs), _interval(runs["ensemble"], "accuracy", 100)]


def _test_values(test: Mapping[str, Any] | None) -> list[Any]:
    if test is None:
        return [None] * (1 + 3 * len(METRICS))
    values = [test["rows"]]
    for metric in METRICS:
        values += [test[metric], *(test["intervals"][metric] or (None, None))]
    return values


def _test_cells(test: Mapping[str, Any]) -> list[str]:
    cells = (_interval(test, metric, 100 if metric == "accuracy" else 1) for metric in METRICS)
    return [*cells, f"{test['rows']:,}"]


def _interval(test: Mapping[str, Any], metric: str, scale: int) -> str:
    value, interval = test[metric], test["intervals"][metric]
    if value is None:
        return "not defined"
    shown = f"{scale * value:z.2f}"
    return f"{shown} [{scale * interval[0]:z.2f}, {scale * interval[1]:z.2f}]" if interval else shown


def _with_deviation(figures: Mapping[str, Any]) -> str:
    mean, deviation = figures["accuracy"]["mean"], figures["accuracy"]["standard_deviation"]
    return f"{_percent(mean)} ({ONE_RUN})" if deviation is None else f"{_percent(mean)} ± {_percent(deviation)}"


def _percent(share: float) -> str:
    return f"{100 * share:.2f}"


def _table(head: Sequence[str], body: Sequence[Sequence[str]], left: int) -> list[str]:
    """A Markdown table whose first `left` columns are text and the others numbers."""
    rule = ["---"] * left + ["---:"] * (len(head) - left)
    escaped = ([cell.replace("|", "\\|") for cell in cells] for cells in (head, rule, *body))
    return [f"| {' | '.join(cells)} |" for cells in escaped]
