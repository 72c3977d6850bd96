"""What people type: a module for each group of commands, their options, and what they share."""
