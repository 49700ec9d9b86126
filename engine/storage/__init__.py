"""Where logs live: SQL tables and files. The only I/O of the engine."""
