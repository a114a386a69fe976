"""The field's template language: `parsing.parse` turns any body into steps and findings, and never raises."""
