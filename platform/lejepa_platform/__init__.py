"""Runs trials of `lejepa_core` on Ray and keeps what they find."""
