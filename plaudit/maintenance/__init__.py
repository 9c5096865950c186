"""What an operator does with a data directory: back up, restore, examine, export."""
