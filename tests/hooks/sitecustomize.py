"""Python runs this at its start where PYTHONPATH names this folder, and so in every process that a test starts."""

import os

if {"SIER_FAILPOINT", "SIER_SHARD_ORDER"} & set(os.environ):
    from tests import failpoints, orders

    failpoints.install()
    orders.install()
