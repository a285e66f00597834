"""Code that runs in the stages of an image build: Debian's Python and standard library only."""
