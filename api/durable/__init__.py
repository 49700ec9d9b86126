"""The engines of Python with a log on disk: the service's own, without the service."""
