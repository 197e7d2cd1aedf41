"""What the paper reports, to print beside ours: shares in [0, 1], each with the section that gives it.

Table 2 (section 4.3.2) holds validation accuracies of emotion recognition, Table 3 (section 5.3) accuracies of
sentiment classification on B-T4SA. Section 5.3 also names 89.68 % as the accuracy of emotion recognition; Table 2 and
section 5.1 say 83.29 %, and 89.68 % is Table 3's, so Table 2 is taken at its word.

Fig. 4 (section 5.1) is a picture of a confusion matrix. The text gives none of its class-wise accuracies, only the
overall one, so there is no figure per class to compare with.
"""

from __future__ import annotations

from dataclasses import dataclass

DATASET_ROWS = 80_893  # section 3.1: of the dataset, train and test
SENTIMENT_ROWS = 470_586  # of B-T4SA as published; the paper does not say how many of them it used for Table 3


@dataclass(frozen=True)
class PaperRow:
    """A row of a table.

    Attributes:
        name: as the paper prints it.
        accuracy: as the paper reports it.
        model: our network of that design, a key of section `models`; empty for other people's work.
        author: of other people's work.
    """

    name: str
    accuracy: float
    model: str = ""
    author: str = ""


TABLE_2 = (
    PaperRow("SER only", 0.6017, "ser_only"),
    PaperRow("IER only", 0.6693, "ier_only"),
    PaperRow("Baseline 1", 0.6393, "baseline_1"),
    PaperRow("Baseline 2", 0.6181, "baseline_2"),
    PaperRow("Baseline 3", 0.6770, "baseline_3"),
    PaperRow("ParallelNet", 0.8329, "parallelnet"),
)

TABLE_3 = (
    PaperRow("Cross-Modal Learning", 0.5130, author="Vadicamo et al., 2017"),
    PaperRow("Multimodal Sentiment Analysis", 0.6042, author="Gaspar et al., 2019"),
    PaperRow("Hybrid Fusion", 0.8670, author="Kumar et al., 2021"),
    PaperRow("ParallelNet", 0.8968, "parallelnet_sentiment"),
)
