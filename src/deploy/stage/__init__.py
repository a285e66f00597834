"""Code that runs in the stages of an image build, with Debian's Python and standard library only."""
