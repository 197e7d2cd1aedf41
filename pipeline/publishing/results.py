"""A network's figures as the Hub collects them: `.eval_results/*.yaml` of the network's repository.

The Hub shows them where the dataset is registered as a benchmark; the card's `model-index` has the same figures for all
that read cards. They need the dataset's name on the Hub, so there are none where it has not been published.
"""

from collections.abc import Mapping
from typing import Any

import yaml
from huggingface_hub import EvalResultEntry, constants, eval_result_entries_to_yaml

from pipeline.publishing.history.receipts import Published

PATH = f"{constants.EVAL_RESULTS_FOLDER}/sier.yaml"
TASKS = ("accuracy", "macro_f1", "cohen_kappa")


def entries(measured: Mapping[str, Any], dataset: Published) -> bytes:
    """One entry for each figure of the test split, with rows and interval; `measured`: of reports/evaluate.json."""
    test = measured["test"]
    found = []
    for task in TASKS:
        ends = test["intervals"].get(task)
        between = f"; 95 % interval {ends[0]:.3f} to {ends[1]:.3f}, by groups" if ends else ""
        found.append(
            EvalResultEntry(
                dataset_id=dataset.repo_id, task_id=f"test_{task}", value=test[task], dataset_revision=dataset.commit,
                notes=f"agreement with pseudo-labels, {test['rows']} rows{between}",
            )
        )  # fmt: skip
    return yaml.safe_dump(eval_result_entries_to_yaml(found), sort_keys=False).encode()
