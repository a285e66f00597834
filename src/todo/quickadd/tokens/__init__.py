"""Tokenizer, and recognizers of numbers."""
