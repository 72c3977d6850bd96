"""What people look at: measurements as data (for `--json`) and as tables (for the terminal)."""
