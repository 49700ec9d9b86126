"""The service: one database, one writer, the live experiments."""
