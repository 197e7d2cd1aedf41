"""The pages behind README, and what writes those of them that the code dictates."""
