"""How `estimate` learns what predict will cost: a sample of articles, FLOPs by formula, a trial of the teacher. Knows no Beam."""
