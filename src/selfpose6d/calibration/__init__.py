"""What a certificate is worth: rendered scenes annotated, one score learned, thresholds chosen with a bound."""
