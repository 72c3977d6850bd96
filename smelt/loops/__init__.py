"""HOW, as code: a small typed loop IR, its builder, its C printer, and its readers."""
