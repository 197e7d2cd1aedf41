"""The parts of the report page, which `pipeline.report` puts together."""
