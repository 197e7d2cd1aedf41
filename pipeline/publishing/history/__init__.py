"""What was published before: versions, what changed between them, and receipts."""
