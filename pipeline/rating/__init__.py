"""The parts of human evaluation (paper, section 3.1.1), which `pipeline.rate` puts together."""
