"""Code that runs in the stages of an image build, with only Debian's Python."""
