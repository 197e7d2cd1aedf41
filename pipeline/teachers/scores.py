"""The teacher for `kind: scores`: a table that something outside this project made, not trained and not run here.

Where the table has the corpus's ids too, it is measured on these rows; else nothing here knows how good it is, and
everything that shows a teacher's accuracy says "not measured".
"""

from dataclasses import replace

import numpy as np

from models.teachers.scores_teacher import ScoresTeacher
from pipeline.errors import UserError
from pipeline.frame import outside_scores
from pipeline.teachers.material import UNMEASURED, Material, MeasuredTeacher
from pipeline.teachers.params import ScoresParams

PROTOCOL = "made outside; whoever made the scores may have seen these rows"


def train(params: ScoresParams, material: Material) -> MeasuredTeacher:
    """The teacher, and its figures of the corpus's rows that the table has; UserError as `outside_scores.read`."""
    found = outside_scores.read(params, material.section)
    for name in material.classes:
        if name not in found.classes:
            raise UserError(
                f"{material.section}.classes gives the class {name}, of which {params.path} has no column "
                f"({', '.join(found.classes)}); map it to null or to one of these"
            )
    about = {
        "name": params.name, "licence": params.licence, "source": params.source, "rows": len(found.ids),
        "max_lost_share": params.max_lost_share,
    }  # fmt: skip
    teacher = ScoresTeacher(found.classes, found.ids, found.values, about)
    row_of = {identity: row for row, identity in enumerate(found.ids)}
    items = [item for item in material.items if item.id in row_of]
    probabilities = found.values[[row_of[item.id] for item in items]]
    outside = about | {"rejected_rows": len(found.rejects), "corpus_rows": len(items)}
    if not items:
        return MeasuredTeacher(
            teacher, items, dict(UNMEASURED), np.empty((0, len(found.classes)), np.float32), (),
            {"outside": outside}, found.rejects,
        )  # fmt: skip
    truth = [material.label(item) for item in items]
    measured = MeasuredTeacher.of(teacher, items, PROTOCOL, truth, probabilities, outside=outside)
    return replace(measured, text_rejects=found.rejects)
