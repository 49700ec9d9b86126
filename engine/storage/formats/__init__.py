"""Logs as files: one module for each format, and what formats share."""
