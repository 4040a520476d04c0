"""The parts of the pipeline that know Beam: runners, progress, staging, and the steps of a job."""
