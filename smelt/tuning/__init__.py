"""MEASURE: which candidates, on what, how good they were, and what smelt ships of that. The planner knows nothing of it."""
