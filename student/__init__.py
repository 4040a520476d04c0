"""Stage 2: stream → loss → training → evaluation → report."""
