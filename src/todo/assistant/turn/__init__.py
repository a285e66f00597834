"""One turn of the assistant: what it does, without HTTP and without conversations."""
