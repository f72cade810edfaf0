"""Synthesised sounds that take the place of recordings, and never pass for them."""
