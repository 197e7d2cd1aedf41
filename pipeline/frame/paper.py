"""The numbers that the paper reports, to print beside ours: counts of rows, and accuracies as shares in [0, 1].

Where the paper contradicts itself, its tables are taken at their word:
Table 1  Its last row is the mean of the classes, not of the samples: (63.89 + 75.00 + 67.86 + 70.31) / 4 = 69.26 and so
         on, but for A_hs-i, whose classes have the mean 81.16 where it says 80.46. The text of section 3.1.1 names
         78.91 % for human speech alone where the table has 76.46 %, which is the mean of the column.
Table 2  Section 5.3 names 89.68 % for emotion recognition too; section 5.1 says 83.29 %, and 89.68 % is Table 3's.
Fig. 4   (section 5.1) is a picture of a confusion matrix. The text gives none of its class-wise accuracies, only the
         overall one, so there is no figure per class to compare with.
"""

from dataclasses import dataclass

# B-T4SA as published (Vadicamo et al. 2017); the paper does not say how many of these rows it used for Table 3.
B_T4SA_ROWS = 470_586

# Section 3.1: rows that the label rule kept, train and test together, and how many of them have which label.
LABELLED_ROWS = {
    "rows_in": B_T4SA_ROWS, "kept": 80_893, "happy": 42_958, "sad": 13_621, "hate": 4_401, "anger": 19_913,
}  # fmt: skip

# Section 3.1.1: how often people named the dataset's label, by the symbol of what they saw and heard.
TABLE_1 = {
    "A_i": {"happy": 0.6389, "sad": 0.7500, "hate": 0.6786, "anger": 0.7031, "overall": 0.6926},
    "A_ss": {"happy": 0.6667, "sad": 0.7708, "hate": 0.7143, "anger": 0.8281, "overall": 0.7449},
    "A_hs": {"happy": 0.6944, "sad": 0.7813, "hate": 0.7232, "anger": 0.8594, "overall": 0.7646},
    "A_ss-i": {"happy": 0.7348, "sad": 0.8243, "hate": 0.7764, "anger": 0.8217, "overall": 0.7893},
    "A_hs-i": {"happy": 0.7587, "sad": 0.8327, "hate": 0.8132, "anger": 0.8419, "overall": 0.8046},
}


@dataclass(frozen=True)
class PaperRow:
    """A row of Table 2 or 3: the name as printed and the accuracy; `model`, our network of that design, or `author`."""

    name: str
    accuracy: float
    model: str = ""  # a key of section `models`
    author: str = ""  # of other people's work


# Section 4.3.2: validation accuracy of emotion recognition.
TABLE_2 = (
    PaperRow("SER only", 0.6017, "ser_only"),
    PaperRow("IER only", 0.6693, "ier_only"),
    PaperRow("Baseline 1", 0.6393, "baseline_1"),
    PaperRow("Baseline 2", 0.6181, "baseline_2"),
    PaperRow("Baseline 3", 0.6770, "baseline_3"),
    PaperRow("ParallelNet", 0.8329, "parallelnet"),
)
# Sections 3.2.1 and 4.3.2: what the paper tried without a figure of it; keys of `models` in params.paper.yaml.
WITHOUT_FIGURES = (
    "vgg16", "vgg19", "resnet34", "resnet50", "resnet101", "inception_3a", "inception_4a", "mobilenet", "densenet121",
    "weighted_add",
)  # fmt: skip
# Section 5.3: accuracy of sentiment classification on B-T4SA.
TABLE_3 = (
    PaperRow("Cross-Modal Learning", 0.5130, author="Vadicamo et al., 2017"),
    PaperRow("Multimodal Sentiment Analysis", 0.6042, author="Gaspar et al., 2019"),
    PaperRow("Hybrid Fusion", 0.8670, author="Kumar et al., 2021"),
    PaperRow("ParallelNet", 0.8968, "parallelnet_sentiment"),
)
