"""Runs inside the stages of an image build, on Debian's Python and its standard library alone."""
