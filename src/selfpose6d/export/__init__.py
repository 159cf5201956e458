"""A run's labels in the forms that other tools read."""
