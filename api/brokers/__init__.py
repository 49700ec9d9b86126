"""The log as a stream for others, and rewards from their streams: NATS JetStream and Kafka."""
