"""Inner loops as assembly: instructions on named registers, scheduled for a core by its timing, and given real registers."""
