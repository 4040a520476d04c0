"""What runs on Beam: runners and their options, progress, staging, and the steps of a job."""
