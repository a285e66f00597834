"""One turn of the assistant, independent of HTTP and of conversations."""
