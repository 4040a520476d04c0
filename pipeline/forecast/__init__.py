"""What an estimate rests on: a sample of articles, a trial of the teacher, FLOPs. Knows no Beam."""
