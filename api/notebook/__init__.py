"""What `import onearm` has for people with data: evaluate, replay, simulate, read_log; results show themselves."""
