"""What every route of the API shares: how a read and a write are answered."""
